use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};
use tonic_types::RpcStatusExt;

use crate::v1::stream_predict_response::Outcome;
use crate::v1::{Frame, StreamPredictRequest, StreamPredictResponse};
use crate::{Client, request, within};

const MOST_STREAMS: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Streams frames until each has its outcome, however many streams that takes.
pub struct Resuming {
    /// How many streams were opened.
    pub streams: usize,
    /// Why the server wanted them ended.
    pub notices: Vec<i32>,
    servers: Vec<Client>,
    in_flight: usize,
    limit: Duration,
}

impl Resuming {
    /// Asks the servers in turn; keeps at most `in_flight` frames unanswered, and gives each stream
    /// the time `limit`.
    pub fn new(servers: Vec<Client>, in_flight: usize, limit: Duration) -> Self {
        Self { streams: 0, notices: Vec::new(), servers, in_flight, limit }
    }

    /// Gives one response for each frame to `heard`. Fails with what cannot be resumed.
    pub async fn run(
        &mut self,
        frames: impl IntoIterator<Item = Frame>,
        mut heard: impl FnMut(StreamPredictResponse),
    ) -> Result<(), Status> {
        let mut todo: VecDeque<Frame> = frames.into_iter().collect();
        while !todo.is_empty() {
            if self.streams == MOST_STREAMS {
                return Err(Status::aborted(format!(
                    "{} frames have no outcome after {MOST_STREAMS} streams",
                    todo.len()
                )));
            }
            let server = self.servers[self.streams % self.servers.len()].clone();
            self.streams += 1;
            let mut window = Window::new(todo, self.in_flight);
            let stream = one_stream(server, self.limit, &mut window, &mut self.notices, &mut heard);
            match within(self.limit, stream).await {
                Err(status) if status.code() == Code::Unavailable => sleep(PAUSE).await,
                ended => ended?,
            }
            todo = window.left();
        }
        Ok(())
    }
}

async fn one_stream(
    mut server: Client,
    limit: Duration,
    window: &mut Window,
    notices: &mut Vec<i32>,
    heard: &mut impl FnMut(StreamPredictResponse),
) -> Result<(), Status> {
    let (to, messages) = unbounded_channel();
    window.open(to);
    let messages = UnboundedReceiverStream::new(messages);
    let mut responses = server.stream_predict(request(messages, limit)).await?.into_inner();
    while let Some(response) = responses.message().await? {
        match &response.outcome {
            Some(Outcome::Notice(notice)) => {
                notices.push(notice.reason);
                window.close();
            }
            Some(Outcome::Failed(status)) if is_draining(status) => window.close(),
            _ => {
                window.settle(response.sequence);
                heard(response);
            }
        }
    }
    Ok(())
}

/// Whether a frame was refused because it came after the notice.
fn is_draining(status: &tonic_types::Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == "DRAINING")
}

/// The frames of one stream: those that wait, and those that were written and have no outcome.
struct Window {
    todo: VecDeque<Frame>,
    unanswered: BTreeMap<u64, Frame>, // by sequence
    size: usize,
    written: u64,
    to: Option<UnboundedSender<StreamPredictRequest>>, // dropped: half-closed
}

impl Window {
    fn new(todo: VecDeque<Frame>, size: usize) -> Self {
        Self { todo, unanswered: BTreeMap::new(), size, written: 0, to: None }
    }

    fn open(&mut self, to: UnboundedSender<StreamPredictRequest>) {
        self.to = Some(to);
        self.fill();
    }

    fn close(&mut self) {
        self.to = None;
    }

    fn settle(&mut self, sequence: u64) {
        self.unanswered.remove(&sequence);
        self.fill();
    }

    /// Writes while there is room, and half-closes after the last frame.
    fn fill(&mut self) {
        while let Some(to) = &self.to
            && self.unanswered.len() < self.size
        {
            let Some(frame) = self.todo.pop_front() else {
                return self.close();
            };
            let message = StreamPredictRequest { frame: Some(frame.clone()), options: None };
            let _ = to.send(message); // if the call is over, reading says why
            self.unanswered.insert(self.written, frame);
            self.written += 1;
        }
    }

    /// The frames that got no outcome of their own, in order.
    fn left(self) -> VecDeque<Frame> {
        self.unanswered.into_values().chain(self.todo).collect()
    }
}
