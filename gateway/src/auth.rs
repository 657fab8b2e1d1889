//! Who is asking.

use std::str::FromStr;

pub mod jwt;
pub mod refusal;
pub mod sight;
pub mod token;

pub use refusal::{Error, Reason};
pub use sight::{Namespace, Namespaces, Sight};
pub use token::Token;

/// How callers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all: everybody who reaches the port sees everything.
    None,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            _ => Err("the mode is `none`: whoever reaches the listener sees all metrics"),
        }
    }
}

/// Somebody whose identity was established as far as the mode asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Anybody, where the mode is [`Mode::None`].
    Anonymous,
}

/// Establishes who is asking.
#[derive(Clone, Copy, Debug)]
pub struct Authenticator(Mode);

impl Authenticator {
    /// An authenticator of this mode.
    pub fn new(mode: Mode) -> Self {
        Self(mode)
    }

    /// Who is asking.
    pub fn principal(self) -> Principal {
        match self.0 {
            Mode::None => Principal::Anonymous,
        }
    }
}
