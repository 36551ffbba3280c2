//! What each instruction set makes of the shapes of MiniLM and BERT-base, on one core.
//!
//! `cargo run --release -p portcullis-kernels --example rates`

use portcullis_kernels::attention::{Heads, Qkv, Scratch, attend};
use portcullis_kernels::{
    Activation, Isa, Matrix, Norm, Out, Precision, Rows, bf16_from_f32, peak,
};
use std::time::{Duration, Instant};

fn main() {
    for isa in Isa::available() {
        println!("{isa}: peak {:?}", peak(isa));
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            for (n_in, n_out) in [
                (384, 1152),
                (384, 1536),
                (1536, 384),
                (768, 3072),
                (3072, 768),
            ] {
                print!("  {precision:?} {n_in}x{n_out}, G operations/s at");
                for n_rows in [1, 8, 16, 60, 240] {
                    print!(
                        "  {n_rows} rows: {:.1}",
                        product(isa, precision, n_rows, n_in, n_out)
                    );
                }
                println!();
            }
        }
        for width in [384, 1536] {
            let (norm, gelu) = (norm(isa, width), gelu(isa, width));
            println!(
                "  {width} wide, ns per row: to 8 bits {:.0}, norm {norm:.0}, GELU {gelu:.0}",
                fill(isa, width)
            );
        }
        for n_tokens in [16, 64, 512] {
            let [f32, bf16] = [false, true].map(|is_bf16| attention(isa, n_tokens, is_bf16));
            println!(
                "  attention, 12 heads of 32, {n_tokens} tokens, us: f32 {f32:.0}, bf16 {bf16:.0}"
            );
        }
    }
}

/// The least seconds of some runs.
fn least(mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut least = f64::MAX;
    for turn in 0.. {
        let start = Instant::now();
        run();
        least = least.min(start.elapsed().as_secs_f64());
        if 3 <= turn && Duration::from_millis(30) < begin.elapsed() {
            break;
        }
    }
    least
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 % 1013) as f32 - 506.0) / 506.0)
        .collect()
}

fn product(isa: Isa, precision: Precision, n_rows: usize, n_in: usize, n_out: usize) -> f64 {
    let matrix = Matrix::pack(isa, precision, &numbers(n_in * n_out), &numbers(n_out));
    let mut rows = Rows::new(matrix.format());
    rows.fill(isa, &numbers(n_rows * n_in), n_in);
    let mut y = vec![0.0; n_rows * n_out];
    let seconds = least(|| matrix.apply(&rows, Activation::Identity, Out::Store(&mut y)));
    2.0 * (n_rows * n_in * n_out) as f64 / seconds / 1e9
}

const ROWS: usize = 60;

fn fill(isa: Isa, width: usize) -> f64 {
    let x = numbers(ROWS * width);
    let mut rows = Rows::new(Matrix::format_of(isa, Precision::Int8));
    least(|| rows.fill(isa, &x, width)) * 1e9 / ROWS as f64
}

fn norm(isa: Isa, width: usize) -> f64 {
    let norm = Norm::new(&numbers(width), &numbers(width), 1e-12, &numbers(width));
    let mut x = numbers(ROWS * width);
    let mut rows = Rows::new(Matrix::format_of(isa, Precision::Int8));
    least(|| norm.apply(isa, &mut x, Some(&mut rows))) * 1e9 / ROWS as f64
}

/// What it adds to a product of two inputs.
fn gelu(isa: Isa, width: usize) -> f64 {
    let matrix = Matrix::pack(isa, Precision::F32, &numbers(2 * width), &numbers(width));
    let mut rows = Rows::new(matrix.format());
    rows.fill(isa, &numbers(2 * ROWS), 2);
    let mut y = vec![0.0; ROWS * width];
    let with = least(|| matrix.apply(&rows, Activation::Gelu, Out::Store(&mut y)));
    let without = least(|| matrix.apply(&rows, Activation::Identity, Out::Store(&mut y)));
    (with - without) * 1e9 / ROWS as f64
}

fn attention(isa: Isa, n_tokens: usize, is_bf16: bool) -> f64 {
    let heads = Heads { count: 12, dim: 32 };
    let qkv = numbers(n_tokens * 3 * 384);
    let halves: Vec<u16> = qkv.iter().map(|&x| bf16_from_f32(x)).collect();
    let mut out = vec![0.0; n_tokens * 384];
    let mut scratch = Scratch::default();
    let seconds = least(|| {
        let qkv = if is_bf16 {
            Qkv::Bf16(&halves)
        } else {
            Qkv::F32(&qkv)
        };
        attend(
            isa,
            heads,
            qkv,
            (0..n_tokens, 0..n_tokens),
            (&mut scratch, &mut out),
        );
    });
    seconds * 1e6
}
