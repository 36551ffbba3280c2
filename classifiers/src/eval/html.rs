//! The report as one self-contained page: no script, no font, no picture from elsewhere.

use super::report::{Report, SetResult};
use super::table::{COLUMNS, shown};
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");

/// The drawn box of a curve, in SVG units.
const LEFT: f64 = 34.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 170.0;

impl Report {
    /// One self-contained page: the table, what its numbers mean, and the precision-recall curves.
    /// It holds no text of any set.
    #[must_use]
    pub fn to_html(&self) -> String {
        let (model, policy) = (escaped(&self.model), escaped(&self.policy));
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>Portcullis evaluation: {model}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<header>\n<h1>Portcullis evaluation</h1>\n\
             <p>Model <code>{model}</code>, policy <code>{policy}</code></p>\n</header>\n<main>\n"
        );
        page += &self.table_section();
        page += &meaning_section();
        page += &self.curve_section();
        page += "</main>\n</body>\n</html>\n";
        page
    }

    fn table_section(&self) -> String {
        let mut html = String::from(
            "<section aria-labelledby=\"numbers\">\n<h2 id=\"numbers\">Numbers</h2>\n\
             <div class=\"wide\" role=\"region\" aria-labelledby=\"numbers\" tabindex=\"0\">\n\
             <table>\n<caption>Each set and category; blank where a number has no meaning</caption>\n\
             <thead><tr><th scope=\"col\">set</th><th scope=\"col\">key</th>\
             <th scope=\"col\">n</th><th scope=\"col\">positives</th>",
        );
        for column in &COLUMNS {
            put(
                &mut html,
                format_args!("<th scope=\"col\">{}</th>", column.heading),
            );
        }
        html += "</tr></thead>\n<tbody>\n";
        for row in &self.results {
            let (set, key) = (escaped(&row.set), row.key.name());
            put(
                &mut html,
                format_args!("<tr><th scope=\"row\">{set}</th><td class=\"key\">{key}</td>"),
            );
            put(
                &mut html,
                format_args!("<td>{}</td><td>{}</td>", row.n, row.positives),
            );
            for column in &COLUMNS {
                put(
                    &mut html,
                    format_args!("<td>{}</td>", shown((column.value)(row))),
                );
            }
            html += "</tr>\n";
        }
        html += "</tbody>\n<tfoot><tr><th scope=\"row\" colspan=\"4\">mean</th>";
        for column in &COLUMNS {
            put(
                &mut html,
                format_args!("<td>{}</td>", shown(column.mean(&self.results))),
            );
        }
        html += "</tr></tfoot>\n</table>\n</div>\n</section>\n";
        html
    }

    fn curve_section(&self) -> String {
        let drawn: Vec<_> = self
            .results
            .iter()
            .filter(|row| !row.curve.is_empty())
            .collect();
        let mut html = String::from(
            "<section aria-labelledby=\"curves\">\n<h2 id=\"curves\">Precision and recall</h2>\n",
        );
        if drawn.is_empty() {
            html += "<p>No set has both classes, so there is no curve to draw.</p>\n";
        }
        for of_set in drawn.chunk_by(|one, next| one.set == next.set) {
            put(
                &mut html,
                format_args!(
                    "<h3>{}</h3>\n<div class=\"curves\">\n",
                    escaped(&of_set[0].set)
                ),
            );
            for row in of_set {
                html += &figure(row);
            }
            html += "</div>\n";
        }
        html += "</section>\n";
        html
    }
}

fn meaning_section() -> String {
    let mut html = String::from(
        "<section aria-labelledby=\"meaning\">\n<h2 id=\"meaning\">What the numbers say</h2>\n<dl>\n",
    );
    for column in &COLUMNS {
        put(
            &mut html,
            format_args!("<dt>{}</dt><dd>{}</dd>\n", column.heading, column.meaning),
        );
    }
    html += "</dl>\n</section>\n";
    html
}

fn figure(row: &SetResult) -> String {
    let (set, key, auprc) = (escaped(&row.set), row.key.name(), shown(row.auprc));
    let chance = super::metrics::share(row.positives, row.n).unwrap_or_default();
    let (chance_y, curve) = (y(chance), steps(&row.curve));
    let middle = f64::midpoint(LEFT, RIGHT);
    format!(
        "<figure>\n<svg viewBox=\"0 0 260 204\" role=\"img\" \
         aria-label=\"Precision-recall curve of {key} on {set}: area {auprc}, by chance {chance:.3}\">\n\
         <path class=\"grid\" d=\"M{LEFT} {TOP}H{RIGHT}M{LEFT} {half}H{RIGHT}M{middle} {TOP}V{BOTTOM}\
         M{RIGHT} {TOP}V{BOTTOM}\"/>\n\
         <path class=\"area\" d=\"{curve}V{BOTTOM}H{LEFT}Z\"/>\n\
         <path class=\"chance\" d=\"M{LEFT} {chance_y:.1}H{RIGHT}\"/>\n\
         <path class=\"curve\" d=\"{curve}\"/>\n\
         <path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>\n\
         <g class=\"tick\" aria-hidden=\"true\"><text x=\"28\" y=\"14\" text-anchor=\"end\">1</text>\
         <text x=\"28\" y=\"{BOTTOM}\" text-anchor=\"end\">0</text>\
         <text x=\"{RIGHT}\" y=\"184\" text-anchor=\"end\">1</text>\
         <text x=\"{middle}\" y=\"198\" text-anchor=\"middle\">recall</text>\
         <text x=\"14\" y=\"{half}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {half})\">\
         precision</text></g>\n</svg>\n\
         <figcaption><strong>{key}</strong> AUPRC {auprc} \
         <span>n {n}, {positives} positive</span></figcaption>\n</figure>\n",
        half = f64::midpoint(TOP, BOTTOM),
        n = row.n,
        positives = row.positives,
    )
}

/// The curve as steps: between two thresholds nothing is measured, and a slanted line would promise
/// more than there is.
fn steps(curve: &[(f64, f64)]) -> String {
    let first = curve.first().map_or(0.0, |(_, precision)| *precision);
    let mut path = format!("M{LEFT} {:.1}", y(first));
    for (recall, precision) in curve {
        let x = LEFT + recall * (RIGHT - LEFT);
        put(&mut path, format_args!("V{:.1}H{x:.1}", y(*precision)));
    }
    path
}

fn y(precision: f64) -> f64 {
    BOTTOM - precision * (BOTTOM - TOP)
}

/// Names of sets and models come from files.
fn escaped(name: &str) -> String {
    let mut html = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(character),
        }
    }
    html
}

/// Writing to a `String` cannot fail.
fn put(html: &mut String, piece: std::fmt::Arguments<'_>) {
    let _ = html.write_fmt(piece);
}
