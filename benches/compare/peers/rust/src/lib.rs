//! What both axum peers share: the method over HTTP, and the queue to the one thread that writes, so that a commit takes all that wait.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// At most as many are on their way to the writer; beyond it callers wait.
const QUEUE_MAX: usize = 4_096;
/// At most as many share a commit.
const GROUP_MAX: usize = 4_096;

#[derive(Deserialize)]
pub struct Identifier {
    pub serial_number: String,
}

#[derive(Deserialize)]
pub struct Pair {
    pub smartcard_identifier: Identifier,
    pub stb_identifier: Identifier,
}

#[derive(Serialize)]
struct Created {
    id: u64,
}

/// One call on its way to the writer.
pub struct Ask {
    pub pair: Pair,
    pub answer: oneshot::Sender<Outcome>,
}

/// The new request's id, or what is not known.
pub type Outcome = Result<u64, &'static str>;

/// Serves on the port until the process is killed. `write` gets all that wait, makes them durable, and gives an outcome each.
pub fn serve(port: u16, mut write: impl FnMut(&[Pair]) -> Vec<Outcome> + Send + 'static) {
    let (asks, mut waiting) = mpsc::channel::<Ask>(QUEUE_MAX);
    std::thread::spawn(move || {
        while let Some(first) = waiting.blocking_recv() {
            let (mut pairs, mut answers) = (vec![first.pair], vec![first.answer]);
            while pairs.len() < GROUP_MAX {
                let Ok(next) = waiting.try_recv() else { break };
                pairs.push(next.pair);
                answers.push(next.answer);
            }
            for (outcome, answer) in write(&pairs).into_iter().zip(answers) {
                // A client that has left needs none.
                let _ = answer.send(outcome);
            }
        }
    });
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(async move {
            let path = "/crmapi/rest/v2/nagravision/provisioning_requests/pair_smartcard_decoder";
            let router = Router::new().route(path, post(pair)).with_state(asks);
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
                .await
                .expect("a free port");
            axum::serve(listener, router).await.expect("to serve");
        });
}

async fn pair(
    State(asks): State<mpsc::Sender<Ask>>,
    Json(pair): Json<Pair>,
) -> Result<Json<Created>, (StatusCode, &'static str)> {
    let (answer, outcome) = oneshot::channel();
    let gone = (StatusCode::SERVICE_UNAVAILABLE, "the writer is gone");
    asks.send(Ask { pair, answer }).await.map_err(|_| gone)?;
    match outcome.await.map_err(|_| gone)? {
        Ok(id) => Ok(Json(Created { id })),
        Err(unknown) => Err((StatusCode::NOT_FOUND, unknown)),
    }
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    i64::try_from(since.as_micros()).expect("a clock before the year 290,000")
}

/// The serial numbers of a file of items, without its header.
pub fn serials(path: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a file of items");
    let rows = text.lines().skip(1);
    rows.map(|row| row.split(',').next().unwrap_or(row).to_owned())
        .collect()
}
