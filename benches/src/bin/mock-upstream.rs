//! `mock-upstream LISTEN`: the mock LLM upstream of `portcullis_benches::mock`.

use portcullis_benches::{Error, listen, mock, runtime};

fn main() -> Result<(), Error> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: mock-upstream LISTEN")?;
    runtime()?.block_on(async { mock::serve(listen(&address)?).await })
}
