//! `[auth]`: who may see what.

use conf::Conf;

use crate::auth::Mode;

mod jwt;

pub use jwt::{Jwt, Mistake};

/// `[auth]`: who may see what.
#[derive(Clone, Debug, Conf)]
#[conf(serde)]
pub struct Auth {
    /// How callers are told apart: `none`, where everybody who reaches the listener sees all metrics. Must be given, so that nobody
    /// runs an open gateway without knowing.
    #[arg(long, env, serde(use_value_parser))]
    pub mode: Mode,
    /// Allows the mode `none` on an address that others can reach.
    #[arg(long, env)]
    pub allow_anonymous_network: bool,
    /// Whose tokens count, and what their claims give.
    #[conf(flatten, prefix)]
    pub jwt: Option<Jwt>,
}
