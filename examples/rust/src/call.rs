use std::error::Error;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Status, TimeoutExpired};

use crate::Client;
use crate::v1::{PredictRequest, PredictResponse};

// Tonic has no retry of its own; these are what gRPC's service config would say.
const MOST_ATTEMPTS: u32 = 4;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// Asks about the images of one message; tries again while the server has no room, or is away.
pub async fn predict(
    client: &Client,
    message: PredictRequest,
    limit: Duration,
) -> Result<PredictResponse, Status> {
    let deadline = Instant::now() + limit;
    within(limit, async {
        let mut client = client.clone();
        let mut backoff = FIRST_BACKOFF;
        let mut attempts = 1;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let refused = match client.predict(request(message.clone(), left)).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => in_grpc_terms(status),
            };
            match pause_after(&refused, backoff) {
                Some(pause) if attempts < MOST_ATTEMPTS => sleep(pause).await,
                _ => return Err(refused),
            }
            backoff = LONGEST_BACKOFF.min(backoff * 2);
            attempts += 1;
        }
    })
    .await
}

/// How long to wait before another attempt; none if it would be of no use.
fn pause_after(refused: &Status, backoff: Duration) -> Option<Duration> {
    if !matches!(refused.code(), Code::Unavailable | Code::ResourceExhausted) {
        return None;
    }
    match refused.metadata().get("grpc-retry-pushback-ms") {
        // A number below 0, or none at all, asks not to be asked again.
        Some(said) => said.to_str().ok()?.parse().ok().map(Duration::from_millis),
        None => Some(backoff.mul_f64(0.8 + 0.4 * fastrand::f64())),
    }
}

/// A request that tells the server how long its caller will wait.
pub fn request<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

/// Ends a call when its time is over. Tonic does so up to the first response, not for a stream.
pub async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match timeout(limit, call).await {
        Ok(ended) => ended.map_err(in_grpc_terms),
        Err(_) => Err(Status::deadline_exceeded("the deadline passed")),
    }
}

/// Gives what tonic itself found the code that gRPC has for it, and says what was behind it: tonic
/// says CANCELLED of a deadline, and UNKNOWN of a connection that broke.
fn in_grpc_terms(status: Status) -> Status {
    let Some(first) = status.source() else {
        return status; // the server's own
    };
    let mut cause = first;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let code = match status.code() {
        _ if cause.is::<TimeoutExpired>() => Code::DeadlineExceeded,
        Code::Unknown => Code::Unavailable,
        code => code,
    };
    Status::new(code, cause.to_string())
}
