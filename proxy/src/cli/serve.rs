//! `portcullis serve`.

use super::{Exit, ServeArgs, chain, start_logging};
use crate::gate::{BuildError, Gate};
use crate::server::Server;
use portcullis_classifiers::Classifier;
use portcullis_config::Overrides;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn serve(args: &ServeArgs, classifier: Arc<dyn Classifier>) -> Result<(), Exit> {
    start_logging();
    let overrides = Overrides {
        listen: args.listen,
        admin: args.admin,
        upstream: args.upstream.clone(),
    };
    let config = args.config.load(&overrides)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::Environment(format!("no threads could be started: {error}")))?;
    runtime.block_on(async {
        let server = Server::bind(&config).map_err(|error| Exit::Environment(chain(&error)))?;
        let gate = Gate::new(config, classifier).map_err(|error| build_exit(&error))?;
        gate.warm()
            .await
            .map_err(|error| Exit::Environment(chain(&error)))?;
        // Loading needs several times what serving does.
        portcullis_models::memory::give_back();
        announce(&server, &gate);
        server.serve(Arc::new(gate), shutdown()).await;
        tracing::info!("stopped");
        Ok(())
    })
}

fn build_exit(error: &BuildError) -> Exit {
    match error {
        BuildError::Policy(_) | BuildError::Upstream(_) => Exit::Usage(chain(error)),
        _ => Exit::Environment(chain(error)),
    }
}

fn announce(server: &Server, gate: &Gate) {
    let (Ok(data), Ok(admin)) = (server.data_address(), server.admin_address()) else {
        return;
    };
    tracing::info!(%data, %admin, policy = gate.policy_label(), "portcullis is up");
    let scheme = if gate.config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    tracing::info!(
        "point OpenAI clients at base_url={scheme}://{data}/v1 and Anthropic clients at base_url={scheme}://{data}"
    );
    if gate.config.upstreams.openai.is_none() && gate.config.upstreams.anthropic.is_none() {
        tracing::warn!(
            "no upstream is configured: chat requests will be answered with an error; start with --upstream URL"
        );
    }
}

/// Done at the first SIGTERM or SIGINT.
async fn shutdown() {
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(terminate) => drop(terminate.recv().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        interrupted = tokio::signal::ctrl_c() => drop(interrupted),
    }
    tracing::info!("draining");
}
