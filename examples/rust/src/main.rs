//! Reads 28x28 grey images: `digits [options] predict FILE` or `digits [options] stream FILE [FRAMES]`.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use digits::v1::stream_predict_response::Outcome;
use digits::v1::{Frame, PredictRequest};
use digits::{Client, Resuming};
use prost::bytes::Bytes;
use tonic::Status;

const PIXELS: usize = 28 * 28;
const USAGE: &str = "expected `predict FILE` or `stream FILE [FRAMES]`";
const IN_FLIGHT: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("digits: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = pico_args::Arguments::from_env();
    let address = arguments.opt_value_from_str("--address")?;
    let ca: Option<PathBuf> = arguments.opt_value_from_str("--ca")?;
    let token: Option<String> = arguments.opt_value_from_str("--token")?;
    let call: String = arguments.free_from_str().map_err(|_| USAGE)?;
    let file: PathBuf = arguments.free_from_str().map_err(|_| USAGE)?;
    if !["predict", "stream"].contains(&call.as_str()) {
        return Err(USAGE.into());
    }
    let frames = arguments.opt_free_from_str()?.unwrap_or(20);
    if let Some(other) = arguments.finish().first() {
        return Err(format!("unexpected argument {}", other.display()).into());
    }
    // A binary PGM ends with its pixels; so do 784 raw bytes.
    let mut image =
        Bytes::from(std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?);
    image = image.split_off(image.len().saturating_sub(PIXELS));
    let address = address.unwrap_or_else(|| "127.0.0.1:50051".to_owned());
    let client = digits::client(&digits::connect(&address, ca.as_deref(), token.as_deref())?);
    let ended = match call.as_str() {
        "predict" => predict(&client, image).await,
        _ => stream(client, image, frames).await,
    };
    Ok(ended.map_err(|status| format!("{:?}: {}", status.code(), status.message()))?)
}

/// Asks about one image, with a deadline.
async fn predict(client: &Client, image: Bytes) -> Result<(), Status> {
    let message = PredictRequest { pixels: image, ..Default::default() };
    let response = digits::predict(client, message, Duration::from_secs(5)).await?;
    for each in response.predictions {
        println!("{} {:.3} (version {})", each.digit, each.confidence, response.model_version);
    }
    Ok(())
}

/// Sends numbered frames; every seventh is malformed and fails alone.
async fn stream(client: Client, image: Bytes, count: usize) -> Result<(), Status> {
    let frames = (0..count).map(|number| Frame {
        frame_id: number.to_string(),
        pixels: if number % 7 == 6 { image.slice(..image.len() / 2) } else { image.clone() },
        ..Default::default()
    });
    let mut resuming = Resuming::new(vec![client], IN_FLIGHT, Duration::from_secs(60));
    resuming
        .run(frames, |response| match response.outcome {
            Some(Outcome::Predicted(predicted)) => {
                println!("{}: {}", response.frame_id, predicted.predictions[0].digit);
            }
            Some(Outcome::Failed(status)) => println!("{}: {}", response.frame_id, status.message),
            _ => {}
        })
        .await
}
