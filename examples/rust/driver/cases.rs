use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use digits::v1::model_service_client::ModelServiceClient;
use digits::v1::{
    Frame, GetLimitsRequest, ListVersionsRequest, PredictRequest, StreamOptions,
    StreamPredictRequest, predict_request, stream_options,
};
use digits::{Connection, Resuming, request, within};
use prost::bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;

use crate::{outcomes, raw};

/// Named runs of pixels.
pub type Parts = HashMap<String, Vec<u8>>;
type Outcome = Map<String, Value>;

/// Reads the table of pixels.
pub fn parts(table: &Value) -> Result<Parts, Box<dyn Error>> {
    let table = table.as_object().ok_or("no pixels")?;
    let part = |(name, part): (&String, &Value)| {
        let bytes = unhex(&part["hex"])?;
        Ok((name.clone(), bytes.repeat(part["times"].as_u64().unwrap_or(1) as usize)))
    };
    table.iter().map(part).collect()
}

fn unhex(said: &Value) -> Result<Vec<u8>, Box<dyn Error>> {
    let said = said.as_str().ok_or("no hex")?;
    let byte = |at| Ok(u8::from_str_radix(said.get(at..at + 2).ok_or("half a byte")?, 16)?);
    (0..said.len()).step_by(2).map(byte).collect()
}

/// Does a case. An error is the file's, or the driver's; that of a call is part of the outcome.
pub async fn outcome(
    case: &Value,
    parts: &Parts,
    servers: &Value,
) -> Result<Value, Box<dyn Error>> {
    let token = case["token"].as_str();
    let connect = |name: &Value| {
        let server = &servers[name.as_str().ok_or("a server without a name")?];
        let address = server["address"].as_str().ok_or("no such server")?;
        digits::connect(address, server["ca"].as_str().map(Path::new), token)
    };
    let connections = list(&case["servers"]).map(connect).collect::<Result<Vec<_>, _>>()?;
    let connection = connections.first().ok_or("no servers")?.clone();
    let limit = Duration::from_millis(case["timeout_ms"].as_u64().unwrap_or(20_000));
    let doing = Doing { case, parts, connection, limit };
    let mut outcome = json!({"code": 0}).as_object().cloned().unwrap_or_default();
    let start = Instant::now();
    let ended = match case["call"].as_str() {
        Some("Predict") => doing.predict(&mut outcome).await,
        Some("StreamPredict") => within(limit, doing.stream(&mut outcome)).await,
        Some("Resume") => doing.resume(&connections, &mut outcome).await,
        Some("GetLimits") => within(limit, doing.limits(&mut outcome)).await,
        Some("ListVersions") => within(limit, doing.versions(&mut outcome)).await,
        Some("Raw") => within(limit, doing.raw(unhex(&case["request"]["hex"])?)).await,
        other => return Err(format!("unknown call {other:?}").into()),
    };
    if let Err(status) = ended {
        outcome.extend(outcomes::status_of_call(&status));
    }
    outcome.insert("elapsed_ms".to_owned(), json!(start.elapsed().as_millis() as u64));
    Ok(Value::Object(outcome))
}

struct Doing<'a> {
    case: &'a Value,
    parts: &'a Parts,
    connection: Connection,
    limit: Duration,
}

impl Doing<'_> {
    async fn predict(&self, outcome: &mut Outcome) -> Result<(), Status> {
        let said = &self.case["request"];
        let message = PredictRequest {
            pixels: self.pixels(&said["pixels"]),
            count: number(&said["count"]),
            encoding: number(&said["encoding"]),
            detail: number(&said["detail"]),
            model: match (said["version"].as_u64(), said["label"].as_str()) {
                (Some(version), _) => Some(predict_request::Model::Version(version)),
                (_, Some(label)) => Some(predict_request::Model::Label(label.to_owned())),
                _ => None,
            },
        };
        let client = digits::client(&self.connection);
        let response = digits::predict(&client, message, self.limit).await?;
        outcome.insert("predicted".to_owned(), outcomes::predicted(&response));
        Ok(())
    }

    async fn limits(&self, outcome: &mut Outcome) -> Result<(), Status> {
        let mut client = ModelServiceClient::new(self.connection.clone());
        let response = client.get_limits(request(GetLimitsRequest {}, self.limit)).await?;
        outcome.insert("limits".to_owned(), outcomes::limits(response.get_ref()));
        Ok(())
    }

    async fn versions(&self, outcome: &mut Outcome) -> Result<(), Status> {
        let mut client = ModelServiceClient::new(self.connection.clone());
        let response = client.list_versions(request(ListVersionsRequest {}, self.limit)).await?;
        let versions = response.get_ref().versions.iter().map(outcomes::version).collect();
        outcome.insert("versions".to_owned(), versions);
        Ok(())
    }

    async fn raw(&self, message: Vec<u8>) -> Result<(), Status> {
        let method = self.case["request"]["method"].as_str().unwrap_or_default();
        raw::call(&self.connection, method, request(message, self.limit)).await
    }

    async fn stream(&self, outcome: &mut Outcome) -> Result<(), Status> {
        let (to, messages) = unbounded_channel();
        let (heard, hearing) = unbounded_channel();
        let reading = async move {
            let mut client = digits::client(&self.connection);
            let messages = UnboundedReceiverStream::new(messages);
            let responses = client.stream_predict(request(messages, self.limit)).await?;
            let mut responses = responses.into_inner();
            let said = outcome.entry("responses").or_insert_with(|| json!([]));
            while let Some(response) = responses.message().await? {
                said.as_array_mut().expect("a list").push(outcomes::response(&response));
                let _ = heard.send(()); // who does not wait is not there
            }
            Ok(())
        };
        tokio::try_join!(reading, self.write(to, hearing)).map(|_| ())
    }

    /// Writes every message, then half-closes; in lockstep it waits for the response to each frame.
    async fn write(
        &self,
        to: UnboundedSender<StreamPredictRequest>,
        mut hearing: UnboundedReceiver<()>,
    ) -> Result<(), Status> {
        let lockstep = self.case["lockstep"] == json!(true);
        for item in list(&self.case["send"]) {
            if let Some(pause) = item["pause_ms"].as_u64() {
                sleep(Duration::from_millis(pause)).await;
            }
            for _ in 0..item["times"].as_u64().unwrap_or(1) {
                let _ = to.send(self.message(item)); // if the call is over, reading says why
                if lockstep && item.get("frame").is_some() {
                    hearing.recv().await;
                }
            }
        }
        Ok(())
    }

    async fn resume(
        &self,
        connections: &[Connection],
        outcome: &mut Outcome,
    ) -> Result<(), Status> {
        let servers = connections.iter().map(digits::client).collect();
        let each: Vec<Bytes> = list(&self.case["pixels"]).map(|names| self.pixels(names)).collect();
        let frames = (0..number(&self.case["frames"])).map(|at: usize| Frame {
            frame_id: format!("frame-{at}"),
            pixels: each[at % each.len()].clone(),
            ..Default::default()
        });
        let mut heard = Vec::new();
        let mut resuming = Resuming::new(servers, number(&self.case["in_flight"]), self.limit);
        let ended = resuming
            .run(frames, |response| {
                let mut said = outcomes::response(&response);
                said["sequence"] = Value::Null; // it is that of one of several streams
                heard.push(said);
            })
            .await;
        outcome.insert("outcomes".to_owned(), heard.into());
        outcome.insert("streams".to_owned(), resuming.streams.into());
        outcome.insert("notices".to_owned(), resuming.notices.into());
        ended
    }

    fn message(&self, item: &Value) -> StreamPredictRequest {
        StreamPredictRequest {
            options: item.get("options").map(options),
            frame: item.get("frame").map(|said| Frame {
                frame_id: said["frame_id"].as_str().unwrap_or_default().to_owned(),
                pixels: self.pixels(&said["pixels"]),
                count: number(&said["count"]),
                age_us: number(&said["age_us"]),
                timeout_us: number(&said["timeout_us"]),
            }),
        }
    }

    /// Concatenates named parts.
    fn pixels(&self, names: &Value) -> Bytes {
        let part = |name: &Value| self.parts[name.as_str().expect("a name")].as_slice();
        list(names).map(part).collect::<Vec<_>>().concat().into()
    }
}

fn options(said: &Value) -> StreamOptions {
    StreamOptions {
        encoding: number(&said["encoding"]),
        detail: number(&said["detail"]),
        model: match (said["version"].as_u64(), said["label"].as_str()) {
            (Some(version), _) => Some(stream_options::Model::Version(version)),
            (_, Some(label)) => Some(stream_options::Model::Label(label.to_owned())),
            _ => None,
        },
        delivery: number(&said["delivery"]),
        max_in_flight_frames: number(&said["max_in_flight_frames"]),
        max_in_flight_images: number(&said["max_in_flight_images"]),
        max_age: said["max_age_ms"].as_u64().map(|milliseconds| {
            Duration::from_millis(milliseconds).try_into().expect("an age that fits")
        }),
    }
}

/// The elements; none if there is no list.
fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// A number of whatever type; 0 if there is none.
fn number<T: TryFrom<u64> + Default>(value: &Value) -> T {
    value.as_u64().and_then(|number| T::try_from(number).ok()).unwrap_or_default()
}
