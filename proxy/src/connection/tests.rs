//! On streams in memory, with time that passes when nobody has anything to do.

use super::*;
use http_body_util::{BodyExt, Empty};
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;

const WITHIN: Duration = Duration::from_secs(10);
const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: gate\r\n\r\n";

/// Answers with its text. How many of it there are tells whether a connection is in the library's
/// hands, which then holds one more.
#[derive(Clone)]
struct Says(Arc<str>);

impl Handle for Says {
    fn handle(&self, _: Request<Incoming>) -> impl Future<Output = Response<ResponseBody>> + Send {
        let text = self.0.as_bytes().to_vec();
        std::future::ready(Response::new(ResponseBody::plain(text)))
    }
}

struct Talk {
    client: DuplexStream,
    text: Arc<str>,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

impl Talk {
    /// A connection that has begun.
    async fn of(text: &str, buffer: usize) -> Self {
        let (client, io) = duplex(buffer);
        let (text, ending) = (Arc::<str>::from(text), CancellationToken::new());
        let limits = Limits::default();
        let timeouts = Timeouts {
            read: WITHIN,
            ..Timeouts::default()
        };
        let says = Says(Arc::clone(&text));
        let talk = Arc::new(Http::new(&limits, &timeouts)).talk(io, says, ending.clone());
        let task = tokio::spawn(talk);
        tokio::task::yield_now().await;
        Self {
            client,
            text,
            ending,
            task,
        }
    }

    /// Whether the connection is at rest: the test and the connection have the handler, and no more.
    fn rests(&self) -> bool {
        Arc::strong_count(&self.text) == 2
    }

    async fn says(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    async fn hears_answer(&mut self) {
        let mut heard = Vec::new();
        while !heard.ends_with(self.text.as_bytes()) {
            let n_bytes = self.client.read_buf(&mut heard).await.unwrap();
            assert_ne!(n_bytes, 0, "closed after {heard:?}");
        }
        assert!(heard.starts_with(b"HTTP/1.1 200 OK"), "{heard:?}");
    }

    async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = self.client.read(&mut byte);
        matches!(timeout(REST / 4, read).await, Ok(Ok(0)))
    }
}

async fn passes(time: Duration) {
    // What is due gets its turn, before and after.
    settles().await;
    tokio::time::advance(time).await;
    settles().await;
}

async fn settles() {
    timeout(Duration::from_millis(1), std::future::pending::<()>())
        .await
        .unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_rests_and_is_taken_up_again() {
    let mut talk = Talk::of("hello", 4096).await;
    assert!(talk.rests());
    for _ in 0..3 {
        talk.says(GET).await;
        talk.hears_answer().await;
        assert!(!talk.rests());
        passes(REST / 2).await;
        assert!(!talk.rests(), "too soon");
        passes(REST).await;
        assert!(talk.rests());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_the_rest_is_not_lost() {
    let mut talk = Talk::of("hello", 4096).await;
    let (begin, rest) = GET.split_at(9);
    talk.says(GET).await;
    talk.says(begin).await;
    talk.hears_answer().await;
    passes(REST * 2).await;
    talk.says(rest).await;
    talk.hears_answer().await;
    // Two at once, with rests behind them.
    talk.says(&[GET, GET].concat()).await;
    talk.hears_answer().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_nothing_is_closed_however_it_drips() {
    let mut silent = Talk::of("hello", 4096).await;
    passes(WITHIN - REST).await;
    assert!(!silent.is_closed().await);
    passes(REST).await;
    assert!(silent.is_closed().await);

    let mut after = Talk::of("hello", 4096).await;
    after.says(GET).await;
    after.hears_answer().await;
    passes(WITHIN - REST).await;
    assert!(after.rests() && !after.is_closed().await);
    passes(REST).await;
    assert!(after.is_closed().await);

    let mut drips = Talk::of("hello", 4096).await;
    drips.says(GET).await;
    drips.hears_answer().await;
    let started = Instant::now();
    for byte in GET.iter().cycle() {
        passes(REST * 3 / 4).await;
        if drips.client.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    assert!(
        started.elapsed() < WITHIN + 2 * REST,
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_taken_slowly_is_not_cut() {
    let mut talk = Talk::of(&"x".repeat(1000), 16).await;
    talk.says(GET).await;
    let mut heard = Vec::new();
    while !heard.ends_with(talk.text.as_bytes()) {
        passes(WITHIN / 2).await;
        let n_bytes = talk.client.read_buf(&mut heard).await.unwrap();
        assert_ne!(n_bytes, 0, "closed after {} bytes", heard.len());
    }
    passes(REST * 2).await;
    assert!(talk.rests());
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_of_an_answer_is_closed() {
    let mut talk = Talk::of(&"x".repeat(1000), 16).await;
    talk.says(GET).await;
    passes(WITHIN - REST).await;
    assert!(!talk.task.is_finished());
    passes(REST * 2).await;
    timeout(REST, &mut talk.task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn http2_is_told_by_its_first_bytes_however_they_come() {
    let talk = Talk::of("hello", 1).await;
    let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake::<_, Empty<Bytes>>(TokioIo::new(talk.client));
    let (mut send, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://gate/").body(Empty::new()).unwrap();
    let answer = send.send_request(request).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_http2_client_is_closed() {
    let mut talk = Talk::of("hello", 4096).await;
    talk.says(PREFACE).await;
    passes(WITHIN + REST).await;
    timeout(REST, &mut talk.task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_to_those_at_rest_and_to_those_in_flight() {
    let mut rests = Talk::of("hello", 4096).await;
    rests.says(GET).await;
    rests.hears_answer().await;
    passes(REST * 2).await;
    rests.ending.cancel();
    timeout(REST, rests.task).await.unwrap().unwrap();

    let mut flies = Talk::of(&"x".repeat(10_000), 64).await;
    flies.says(GET).await;
    passes(REST / 2).await;
    flies.ending.cancel();
    flies.hears_answer().await;
    timeout(REST, flies.task).await.unwrap().unwrap();
}
