//! What the operator sees on the terminal.

use miette::{GraphicalReportHandler, GraphicalTheme};
use portcullis_config::check;

#[track_caller]
fn check_rendering(text: &str, expected: &str) {
    let error = check(text, "gate.yaml").unwrap_err();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut rendered = String::new();
    handler
        .with_width(100)
        .with_links(false)
        .render_report(&mut rendered, &error)
        .unwrap();
    let rendered: Vec<_> = rendered.lines().map(str::trim_end).collect();
    let expected: Vec<_> = expected.lines().map(str::trim_end).collect();
    assert_eq!(
        rendered.join("\n"),
        expected.join("\n").trim_start_matches('\n')
    );
}

#[test]
fn a_regex_is_pointed_into() {
    check_rendering(
        "name: mine\npatterns:\n  - {id: a, deny: ['x(y'], then: block}\n",
        "
  × the regular expression cannot be used: unclosed group
   ╭─[gate.yaml:3:22]
 2 │ patterns:
 3 │   - {id: a, deny: ['x(y'], then: block}
   ·                      ┬
   ·                      ╰── here
   ╰────",
    );
}

#[test]
fn an_unknown_category_is_shown_with_its_line() {
    check_rendering(
        "name: mine\ncategories:\n  hatee: {prompt: {block: 0.999}}\n",
        "
  × unknown category `hatee`, did you mean `hate`?
   ╭─[gate.yaml:3:3]
 2 │ categories:
 3 │   hatee: {prompt: {block: 0.999}}
   ·   ──┬──
   ·     ╰── no such category
   ╰────
  help: expected one of unsafe, violence, crime, controlled_goods, cyber, cbrn, sexual_crime,
        child_safety, hate, harassment, self_harm, sexual, privacy, deception, advice_medical,
        advice_legal, advice_financial, jailbreak and injection",
    );
}

#[test]
fn two_places_are_shown_when_two_matter() {
    check_rendering(
        "name: mine\ncategories:\n  hate:\n    prompt: {annotate: 0.99, block: 0.9}
",
        "
  × `block` has a lower threshold than the weaker `annotate`: 0.9 is below 0.99
   ╭─[gate.yaml:4:37]
 3 │   hate:
 4 │     prompt: {annotate: 0.99, block: 0.9}
   ·                        ──┬─         ─┬─
   ·                          │           ╰── reached first
   ·                          ╰── never reached alone
   ╰────
  help: raise `block` to at least 0.99, or lower `annotate`",
    );
}

#[test]
fn several_problems_are_shown_one_after_the_other() {
    check_rendering(
        "listen: here\nlimts: {}\n",
        "
  × `listen`: expected an address and a port such as 127.0.0.1:8080 or [::1]:8080, found `here`
   ╭─[gate.yaml:1:9]
 1 │ listen: here
   ·         ────
 2 │ limts: {}
   ╰────

Error:
  × unknown key `limts`, did you mean `limits`?
   ╭─[gate.yaml:2:1]
 1 │ listen: here
 2 │ limts: {}
   · ──┬──
   ·   ╰── no such key
   ╰────
  help: the keys here are listen, admin, tls, upstreams, limits, timeouts, content,
        unknown_endpoints, refusals, labels, commands, stream, record, identity, encoder and
        policy",
    );
}
