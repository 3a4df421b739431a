use digits::v1::stream_predict_response::Outcome;
use digits::v1::{GetLimitsResponse, ModelVersion, PredictResponse, StreamPredictResponse};
use serde_json::{Map, Value, json};
use tonic::Status;
use tonic_types::{ErrorDetails, RpcStatusExt, StatusExt};

/// Writes a float as the bits that it is.
fn bits(value: f32) -> String {
    format!("{:08x}", value.to_bits())
}

pub fn predicted(response: &PredictResponse) -> Value {
    let predictions = response.predictions.iter().map(|each| {
        json!({
            "digit": each.digit,
            "confidence": bits(each.confidence),
            "probabilities": each.probabilities.iter().copied().map(bits).collect::<Vec<_>>(),
            "rejection": each.rejection.map(bits),
        })
    });
    json!({
        "model_version": response.model_version,
        "predictions": predictions.collect::<Vec<_>>(),
    })
}

pub fn response(response: &StreamPredictResponse) -> Value {
    let mut said = json!({"sequence": response.sequence, "frame_id": response.frame_id});
    match &response.outcome {
        Some(Outcome::Predicted(answer)) => said["predicted"] = predicted(answer),
        Some(Outcome::Failed(failed)) => {
            let details = failed.get_error_details();
            said["failed"] = Value::Object(status(failed.code, &failed.message, &details));
        }
        Some(Outcome::Skipped(skip)) => said["skipped"] = json!(skip.reason),
        Some(Outcome::Notice(notice)) => {
            said["notice"] = json!({"reason": notice.reason, "accepted": notice.accepted});
        }
        None => {}
    }
    said
}

pub fn status_of_call(ended: &Status) -> Map<String, Value> {
    status(ended.code() as i32, ended.message(), &ended.get_error_details())
}

fn status(code: i32, message: &str, details: &ErrorDetails) -> Map<String, Value> {
    let mut said = Map::new();
    let mut say = |key: &str, value: Value| said.insert(key.to_owned(), value);
    say("code", json!(code));
    say("message", json!(message));
    if let Some(info) = details.error_info() {
        say("reason", json!(info.reason));
        say("domain", json!(info.domain));
    }
    if let Some(request) = details.bad_request() {
        let violations = request.field_violations.iter();
        let violation = |each: &tonic_types::FieldViolation| json!({"field": each.field, "description": each.description});
        say("violations", violations.map(violation).collect());
    }
    if let Some(info) = details.resource_info() {
        say("resource_type", json!(info.resource_type));
        say("resource_name", json!(info.resource_name));
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        say("retry_ms", json!(delay.as_millis() as u64));
    }
    said
}

pub fn limits(response: &GetLimitsResponse) -> Value {
    json!({
        "max_images": response.max_images,
        "max_message_bytes": response.max_message_bytes,
        "encodings": response.encodings,
        "deliveries": response.deliveries,
        "max_in_flight_frames": response.max_in_flight_frames,
        "max_in_flight_images": response.max_in_flight_images,
        "max_frame_id_bytes": response.max_frame_id_bytes,
    })
}

pub fn version(version: &ModelVersion) -> Value {
    json!({
        "version": version.version,
        "state": version.state,
        "labels": version.labels,
        "accuracy": version.accuracy.map(|value| format!("{:016x}", value.to_bits())),
        "description": version.description,
        "engine": version.engine,
    })
}
