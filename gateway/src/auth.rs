//! Who is asking, and how far they see.

use std::str::FromStr;

mod access;
pub mod jwt;
pub mod kubernetes;
pub mod refusal;
pub mod sight;
pub mod ticket;
pub mod token;
mod vigil;

pub use access::{Access, Authenticator, Caller, Denied};
pub use refusal::{Error, Reason};
pub use sight::{Namespace, Namespaces, Sight};
pub use ticket::Tickets;
pub use token::Token;
pub use vigil::{Pace, Vigil};

/// How callers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all: everybody who reaches the port sees everything.
    None,
    /// By the JSON Web Tokens of an issuer.
    Jwt,
    /// By the Kubernetes API server.
    Kubernetes,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "jwt" => Ok(Self::Jwt),
            "kubernetes" => Ok(Self::Kubernetes),
            _ => Err(
                "the mode is `jwt`, `kubernetes`, or `none`: whoever reaches the listener sees all metrics",
            ),
        }
    }
}
