//! Who may pass: from what a request shows to who sent it and how far they see.

use axum::http::HeaderMap;
use promcast_proto::control::Wanted;
use promcast_proto::problem::Type;
use promcast_proto::topic::Datasource;

use super::State;
use super::credentials::Shown;
use super::problem::Problem;
use crate::auth::{Access, Caller, Denied, Namespaces, Tickets, Vigil};
use crate::metrics::Admission;

/// What a stream, or a ticket for one, is asked for.
pub(super) struct Asked<'a> {
    /// What.
    pub(super) wanted: &'a [Wanted],
    /// Narrowed to these.
    pub(super) namespaces: Option<Namespaces>,
    /// What is shown in place of a token.
    pub(super) ticket: Option<String>,
}

/// What a ticket is bound to.
pub(super) fn queries(wanted: &[Wanted]) -> Vec<(&Datasource, &str)> {
    wanted.iter().map(|wanted| (&wanted.datasource, wanted.query.as_str())).collect()
}

impl State {
    /// Who sent a request, and how far they see with it; and who watches over that from now on.
    pub(super) async fn admit(
        &self,
        headers: &HeaderMap,
        asked: Asked<'_>,
    ) -> Result<(Access, Option<Vigil>), Problem> {
        let Asked { wanted, namespaces, ticket } = asked;
        let (token, admitted) = match self.cookie.shown(headers, ticket).inspect_err(|_| self.refused())? {
            Shown::Ticket(ticket) => {
                let now = self.clock.now();
                let taken = self.tickets()?.take(&ticket, &queries(wanted), now);
                (None, taken.and_then(|access| access.narrowed(namespaces.as_ref())))
            }
            // Where nobody is told apart a token proves nothing, and there is nothing to watch over.
            Shown::Token(_) | Shown::Nothing if self.authenticator.is_open() => {
                (None, self.authenticator.admit(None, namespaces.as_ref()).await)
            }
            Shown::Token(token) => {
                let access = self.authenticator.admit(Some(&token), namespaces.as_ref()).await;
                (Some(token), access)
            }
            Shown::Nothing => (None, self.authenticator.admit(None, namespaces.as_ref()).await),
        };
        self.count(admitted.as_ref().err());
        let access = admitted?;
        if token.is_none() && access.expires.is_none() {
            return Ok((access, None));
        }
        let authenticator = self.authenticator.clone();
        let vigil =
            Vigil::new(authenticator, token, namespaces, &access, (self.vigil_pace, self.clock.clone()));
        Ok((access, Some(vigil)))
    }

    /// Who sent a request that asks for nothing in particular.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let token = match self.cookie.shown(headers, None).inspect_err(|_| self.refused())? {
            Shown::Token(token) => Some(token),
            Shown::Nothing | Shown::Ticket(_) => None,
        };
        let caller = self.authenticator.identify(token.as_ref()).await;
        self.count(caller.as_ref().err());
        Ok(caller?)
    }

    /// Tickets, where they are given out.
    pub(super) fn tickets(&self) -> Result<&Tickets, Problem> {
        let detail = "tickets are not given out here; send the token in the Authorization header";
        self.tickets.as_ref().ok_or_else(|| Problem::new(Type::InvalidParameter, detail))
    }

    /// A header or a cookie with no token in it.
    fn refused(&self) {
        self.metrics.admission(Admission::Refused).inc();
    }

    fn count(&self, denied: Option<&Denied>) {
        let outcome = match denied {
            None => Admission::Admitted,
            Some(Denied::Missing) => Admission::Missing,
            Some(Denied::Refused(reason)) => {
                self.metrics.refusal(*reason).inc();
                Admission::Refused
            }
            Some(Denied::Nothing | Denied::MustName | Denied::TooMany { .. }) => Admission::Forbidden,
            Some(Denied::Unavailable(_)) => Admission::Unavailable,
        };
        self.metrics.admission(outcome).inc();
    }
}
