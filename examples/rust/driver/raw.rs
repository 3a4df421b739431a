use digits::Connection;
use prost::bytes::{Buf, BufMut};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

/// Calls a method with the bytes of a message, whatever they are.
pub async fn call(
    connection: &Connection,
    method: &str,
    message: Request<Vec<u8>>,
) -> Result<(), Status> {
    let path = method.parse().map_err(|_| Status::internal(format!("no method: {method:?}")))?;
    let mut client = Grpc::new(connection.clone());
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    client.unary(message, path, AsItIs).await.map(|_| ())
}

struct AsItIs;

impl Codec for AsItIs {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsItIs {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&message);
        Ok(())
    }
}

impl Decoder for AsItIs {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).into()))
    }
}
