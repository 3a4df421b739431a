//! Does what the conformance cases say and prints what came of it.
//!
//! `../../conformance/README.md` says what the cases mean and how an outcome is written.

mod cases;
mod outcomes;
mod raw;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use digits::v1::PredictRequest;
use serde_json::{Map, Value, json};

const WARM_UP: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match arguments[..] {
        ["run", cases, servers] => run(cases, servers).await,
        ["latency", address, calls] => latency(address, calls).await,
        _ => Err("expected `run CASES SERVERS` or `latency ADDRESS CALLS`".into()),
    };
    match said {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("driver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cases: &str, servers: &str) -> Result<Value, Box<dyn Error>> {
    let file: Value = serde_json::from_slice(&std::fs::read(cases)?)?;
    let servers: Value = serde_json::from_slice(&std::fs::read(servers)?)?;
    let parts = cases::parts(&file["pixels"])?;
    let mut outcomes = Map::new();
    for case in file["cases"].as_array().ok_or("no cases")? {
        let name = case["name"].as_str().ok_or("a case without a name")?;
        let outcome = cases::outcome(case, &parts, &servers).await;
        let outcome = outcome.map_err(|error| format!("{name}: {error}"))?;
        outcomes.insert(name.to_owned(), outcome);
    }
    Ok(Value::Object(outcomes))
}

/// Times Predicts, one after the other.
async fn latency(address: &str, calls: &str) -> Result<Value, Box<dyn Error>> {
    let calls: usize = calls.parse()?;
    let client = digits::client(&digits::connect(address, None, None)?);
    let pixels: Vec<u8> = (0..784).map(|at| (at % 256) as u8).collect();
    let message = PredictRequest { pixels: pixels.into(), ..Default::default() };
    let mut times = Vec::with_capacity(WARM_UP + calls);
    for _ in 0..WARM_UP + calls {
        let start = Instant::now();
        digits::predict(&client, message.clone(), Duration::from_secs(5)).await?;
        times.push(start.elapsed().as_micros());
    }
    let mut times = times.split_off(WARM_UP);
    times.sort_unstable();
    let at = |percent: usize| times.get(calls * percent / 100).map(|&time| time as u64);
    Ok(json!({"calls": calls, "p50_us": at(50), "p99_us": at(99)}))
}
