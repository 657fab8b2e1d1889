//! A small OpenID Connect issuer: discovery, keys that can be changed, tokens, and every way to be unwell.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::wait::now;

/// What tokens are for.
pub const AUDIENCE: &str = "promcast";

/// How the issuer feels.
#[derive(Clone, Debug)]
pub enum Mood {
    /// It answers as it should.
    Well,
    /// It answers as it should, after so long.
    Slow(Duration),
    /// It answers everything with 503.
    Down,
    /// Its key set is this text.
    Keys(String),
    /// Its discovery document names this issuer.
    Stranger(String),
    /// Its discovery document says that the keys are there.
    Elsewhere(String),
}

/// A running issuer; it ends with its handle.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Desk {
    mood: Mood,
    pair: EcdsaKeyPair,
    /// The name of the key is `key-` and this.
    generation: u32,
    discoveries: u32,
    looks: u32,
}

impl Issuer {
    /// Starts one that is well.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let desk = Desk { mood: Mood::Well, pair: pair(), generation: 1, discoveries: 0, looks: 0 };
        let desk = Arc::new(Mutex::new(desk));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .with_state((address, desk.clone()));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("the issuer serves") });
        Self { address, desk, _server: server }
    }

    /// Its `iss`.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// From now on it feels so.
    pub fn feel(&self, mood: Mood) {
        lock(&self.desk).mood = mood;
    }

    /// From now on it signs by a new key, and the old one is withdrawn.
    pub fn rotate(&self) {
        let mut desk = lock(&self.desk);
        desk.pair = pair();
        desk.generation += 1;
    }

    /// How many discovery documents and key sets it was asked for.
    pub fn asked(&self) -> (u32, u32) {
        let desk = lock(&self.desk);
        (desk.discoveries, desk.looks)
    }

    /// Its key set, as it is now.
    pub fn key_set(&self) -> String {
        key_set(&lock(&self.desk))
    }

    /// Claims of `user` that are in order, good for five minutes.
    pub fn claims(&self, user: &str, namespaces: &[&str]) -> Value {
        let seconds = now().millis() / 1000;
        json!({
            "iss": self.url(), "aud": AUDIENCE, "sub": user, "iat": seconds, "exp": seconds + 300,
            "namespaces": namespaces,
        })
    }

    /// A token of `user`.
    pub fn token(&self, user: &str, namespaces: &[&str]) -> String {
        self.sign(&self.claims(user, namespaces))
    }

    /// A token with these claims, signed by the current key.
    pub fn sign(&self, claims: &Value) -> String {
        let desk = lock(&self.desk);
        sign(&desk.pair, &name(&desk), claims)
    }
}

/// A token with these claims, signed by a key that no issuer has, which is called `name`.
pub fn forge(name: &str, claims: &Value) -> String {
    sign(&pair(), name, claims)
}

fn sign(pair: &EcdsaKeyPair, name: &str, claims: &Value) -> String {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": name });
    let encode = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let message = format!("{}.{}", encode(&header), encode(claims));
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
    format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

fn pair() -> EcdsaKeyPair {
    let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key pair");
    EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).expect("a key pair")
}

fn name(desk: &Desk) -> String {
    format!("key-{}", desk.generation)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn key_set(desk: &Desk) -> String {
    let (x, y) = desk.pair.public_key().as_ref()[1..].split_at(32);
    let encode = |part: &[u8]| BASE64URL_NOPAD.encode(part);
    let key = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": name(desk), "x": encode(x), "y": encode(y),
    });
    json!({ "keys": [key] }).to_string()
}

type Shared = (SocketAddr, Arc<Mutex<Desk>>);

async fn discovery(State((address, desk)): State<Shared>) -> Response<String> {
    let mood = {
        let mut desk = lock(&desk);
        desk.discoveries += 1;
        desk.mood.clone()
    };
    let document = |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": keys }).to_string();
    let (own, keys) = (url(address), format!("{}/keys", url(address)));
    let body = match &mood {
        Mood::Stranger(issuer) => document(issuer, &keys),
        Mood::Elsewhere(keys) => document(&own, keys),
        Mood::Well | Mood::Slow(_) | Mood::Down | Mood::Keys(_) => document(&own, &keys),
    };
    answer(&mood, body).await
}

async fn keys(State((_, desk)): State<Shared>) -> Response<String> {
    let (mood, set) = {
        let mut desk = lock(&desk);
        desk.looks += 1;
        (desk.mood.clone(), key_set(&desk))
    };
    let body = if let Mood::Keys(text) = &mood { text.clone() } else { set };
    answer(&mood, body).await
}

async fn answer(mood: &Mood, body: String) -> Response<String> {
    if let Mood::Slow(delay) = mood {
        tokio::time::sleep(*delay).await;
    }
    let down = matches!(mood, Mood::Down);
    let status = if down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    response.body(if down { String::new() } else { body }).expect("a response")
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
