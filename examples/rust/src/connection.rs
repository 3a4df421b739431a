use std::error::Error;
use std::path::Path;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Status};

use crate::v1::digit_service_client::DigitServiceClient;

/// A channel that sends the token, if there is one, with each call. Clones share it.
pub type Connection = InterceptedService<Channel, Bearer>;

/// The stub of `DigitService` on such a channel.
pub type Client = DigitServiceClient<Connection>;

/// Opens a connection: in plain text, or over TLS that trusts the PEM file `ca` alone, with a bearer
/// token for each call. It connects when it is first used, and again whenever it must.
///
/// Call it within a Tokio runtime.
pub fn connect(
    address: &str,
    ca: Option<&Path>,
    token: Option<&str>,
) -> Result<Connection, Box<dyn Error>> {
    let Some(ca) = ca else {
        if token.is_some() {
            return Err("a token is sent over TLS only".into());
        }
        let channel = Channel::from_shared(format!("http://{address}"))?.connect_lazy();
        return Ok(Connection::new(channel, Bearer(None)));
    };
    let pem = std::fs::read(ca).map_err(|error| format!("{}: {error}", ca.display()))?;
    let trust = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    let channel = Channel::from_shared(format!("https://{address}"))?.tls_config(trust)?;
    let bearer = token.map(|token| format!("Bearer {token}").parse()).transpose()?;
    Ok(Connection::new(channel.connect_lazy(), Bearer(bearer)))
}

/// The stub on a connection. What is too long, the server is to say.
pub fn client(connection: &Connection) -> Client {
    Client::new(connection.clone()).max_decoding_message_size(usize::MAX)
}

/// Adds the token to each call.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}
