//! `portcullis doctor`: looks at the machine and the configuration, and says what is wrong.

use super::{ConfigArgs, Exit, chain, embedded};
use portcullis_config::{Config, Overrides, RecordSink};
use portcullis_models::{Kernels, peak};
use portcullis_policy::Engine;
use portcullis_text::Surface;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What one look found.
enum Found {
    Fine(String),
    Note(String),
    Wrong(String),
}

pub(super) fn doctor(args: &ConfigArgs) -> Result<(), Exit> {
    let config = args.load(&Overrides::default())?;
    let mut looks = vec![
        ("version", Found::Fine(env!("CARGO_PKG_VERSION").to_owned())),
        ("processor", processor()),
        ("kernels", kernels()),
        ("classifier", classifier()),
        ("encoder", encoder(&config)),
        ("policy", policy(&config)),
        ("listen", port(config.listen)),
        ("admin", port(config.admin)),
        ("record", record(&config.record)),
    ];
    looks.push(("openai", endpoint(config.upstreams.openai.as_deref())));
    looks.push(("anthropic", endpoint(config.upstreams.anthropic.as_deref())));
    if let Some(tls) = &config.tls {
        looks.push(("tls.cert", readable(&tls.cert)));
        looks.push(("tls.key", readable(&tls.key)));
    }
    let mut wrong = false;
    for (what, found) in looks {
        let (mark, text) = match found {
            Found::Fine(text) => ("ok  ", text),
            Found::Note(text) => ("note", text),
            Found::Wrong(text) => {
                wrong = true;
                ("BAD ", text)
            }
        };
        println!("{mark} {what:12} {text}");
    }
    if wrong {
        Err(Exit::Environment(
            "something above needs mending".to_owned(),
        ))
    } else {
        Ok(())
    }
}

fn processor() -> Found {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Found::Fine(format!(
        "{} {}, {cores} cores",
        std::env::consts::OS,
        std::env::consts::ARCH
    ))
}

/// What encoders can run on, and what one core does at most with the best.
fn kernels() -> Found {
    let names: Vec<&str> = Kernels::available().map(Kernels::name).collect();
    let best = Kernels::fastest();
    let most = match best {
        Kernels::Own(isa) => peak(isa),
        Kernels::Candle => None,
    };
    let most = most.map_or_else(String::new, |peak| {
        let giga = |rate: f64| format!("{:.0}", rate / 1e9);
        let bf16 = match peak.bf16 {
            0.0 => "no".to_owned(),
            rate => giga(rate),
        };
        format!(
            "; one core: {} f32, {bf16} bf16, {} int8 billion operations a second",
            giga(peak.f32),
            giga(peak.int8)
        )
    });
    Found::Fine(format!("{best} (of {}){most}", names.join(", ")))
}

fn encoder(config: &Config) -> Found {
    match crate::encoder::start(&config.encoder, Arc::new(())) {
        Err(error) => Found::Wrong(chain(&error)),
        Ok(None) => Found::Note("none (`encoder.model: none`): the linear tier alone".to_owned()),
        Ok(Some(encoder)) => {
            let facts = encoder.facts();
            let precision = super::model::name_of(facts.precision);
            Found::Fine(format!(
                "{} in {precision}, {}",
                facts.architecture.name(),
                facts.route
            ))
        }
    }
}

/// Loads the embedded weights, checks their digest and times a 60-word prompt.
fn classifier() -> Found {
    let classifier = match embedded() {
        Ok(classifier) => classifier,
        Err(Exit::Environment(message)) => return Found::Wrong(message),
        Err(_) => return Found::Wrong("the embedded linear tier cannot be used".to_owned()),
    };
    let model = classifier.model();
    let prompt = "how do I bake bread that stays fresh for a whole week ".repeat(6);
    let n_runs = 200_u32;
    let started = Instant::now();
    for _ in 0..n_runs {
        std::hint::black_box(model.logits(std::hint::black_box(&prompt)));
    }
    let each = started.elapsed() / n_runs;
    let digest = &model.digest()[..model.digest().len().min(8)];
    Found::Fine(format!(
        "linear@{digest}, {} µs for {} bytes",
        each.as_micros(),
        prompt.len()
    ))
}

fn policy(config: &Config) -> Found {
    match Engine::compile(&config.policy) {
        Err(error) => Found::Wrong(chain(&error)),
        Ok(engine) => {
            let on_user = portcullis_text::Category::ALL
                .into_iter()
                .filter(|category| engine.thresholds(*category, Surface::User).is_some())
                .count();
            Found::Fine(format!(
                "{}@{}, {}, {on_user} categories on user turns, {} patterns",
                engine.name(),
                engine.digest8(),
                engine.mode().name(),
                config.policy.patterns.len()
            ))
        }
    }
}

fn port(address: SocketAddr) -> Found {
    match TcpListener::bind(address) {
        Ok(_) => Found::Fine(format!("{address} is free")),
        Err(error) => Found::Wrong(format!("{address}: {error}; choose another port")),
    }
}

fn record(sink: &RecordSink) -> Found {
    match sink {
        RecordSink::None => Found::Note("decision records go to the metrics only".to_owned()),
        RecordSink::Stdout => Found::Fine("standard output".to_owned()),
        RecordSink::File(path) => {
            match std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
            {
                Ok(_) => Found::Fine(path.display().to_string()),
                Err(error) => Found::Wrong(format!("{}: {error}", path.display())),
            }
        }
    }
}

fn endpoint(url: Option<&str>) -> Found {
    let Some(url) = url else {
        return Found::Note("no upstream is configured".to_owned());
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Found::Wrong(format!("{url} is no URL"));
    };
    let host = rest.split('/').next().unwrap_or(rest);
    let default = if scheme == "https" { 443 } else { 80 };
    let target = if host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        host.to_owned()
    } else {
        format!("{host}:{default}")
    };
    let address = match target.to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => address,
        Ok(None) => return Found::Wrong(format!("{host} has no address")),
        Err(error) => return Found::Wrong(format!("{host}: {error}")),
    };
    match TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
        Ok(_) => Found::Fine(format!("{url} accepts connections")),
        Err(error) => Found::Wrong(format!("{url}: {error}")),
    }
}

fn readable(path: &Path) -> Found {
    match std::fs::read(path) {
        Ok(_) => Found::Fine(path.display().to_string()),
        Err(error) => Found::Wrong(format!("{}: {error}", path.display())),
    }
}
