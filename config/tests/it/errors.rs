//! Every kind of mistake is reported with its place, its name and its mend.

use portcullis_config::{ConfigError, Problem, check};

/// The problems of a document that must be refused.
#[track_caller]
pub(crate) fn problems(text: &str) -> Vec<Problem> {
    let error = check(text, "gate.yaml").expect_err("the document must be refused");
    assert!(!error.is_environment());
    error.problems().cloned().collect()
}

/// One problem: its line and column, its message, and words its help must have.
#[track_caller]
fn check_problem(text: &str, (line, column): (usize, usize), message: &str, help: &str) {
    let found = problems(text);
    let shown: Vec<_> = found
        .iter()
        .map(|p| format!("{} {}", p.place(), p.message()))
        .collect();
    assert_eq!(shown, [format!("gate.yaml:{line}:{column} {message}")]);
    let given = found[0].help_text().unwrap_or_default();
    assert!(given.contains(help), "the help `{given}` lacks `{help}`");
}

/// A policy with one more line block under it.
fn policy(rest: &str) -> String {
    format!("name: mine\n{rest}")
}

#[test]
fn an_unknown_key_names_the_nearest_and_all_valid_ones() {
    check_problem(
        "listen: 127.0.0.1:8080\nlimts: {depth: 3}\n",
        (2, 1),
        "unknown key `limts`, did you mean `limits`?",
        "listen, admin, tls, upstreams, limits",
    );
    check_problem(
        "limits:\n  bdoy: 3MiB\n",
        (2, 3),
        "unknown key `bdoy` in `limits`, did you mean `body`?",
        "the keys here are body, answer, event, depth, decompression_ratio, header, memory and requests",
    );
    check_problem(
        "upstreams: {azure_and_more: \"http://a\"}\n",
        (1, 13),
        "unknown key `azure_and_more` in `upstreams`",
        "openai and anthropic",
    );
}

#[test]
fn a_wrong_type_says_what_was_expected_and_what_was_found() {
    check_problem(
        "limits: {depth: deep}\n",
        (1, 17),
        "`limits.depth`: expected a whole number, 0 or more, found `deep`",
        "",
    );
    check_problem(
        "limits: [1]\n",
        (1, 9),
        "`limits`: expected a mapping with keys among body, answer, event, depth, decompression_ratio, header, memory, requests, found a list",
        "",
    );
    check_problem(
        "commands: {enabled: \"on\"}\n",
        (1, 21),
        "`commands.enabled`: expected `true` or `false`, found `on`",
        "",
    );
    check_problem(
        "labels: {text: 12}\n",
        (1, 16),
        "`labels.text`: expected text, found the number 12",
        "put it in quotes: \"12\"",
    );
    check_problem(
        "limits: {decompression_ratio: 5000000000}\n",
        (1, 31),
        "`limits.decompression_ratio`: expected a whole number from 0 to 4294967295, found the number 5000000000",
        "",
    );
    check_problem(
        "upstreams:\n  openai:\nlisten: 127.0.0.1:1\n",
        (2, 3),
        "`upstreams.openai`: expected text, found nothing",
        "give it a value, or remove the key",
    );
    check_problem(
        "- a\n- b\n",
        (1, 1),
        "expected a mapping of keys to values, found a list",
        "",
    );
}

#[test]
fn sizes_durations_and_addresses_show_how_they_are_written() {
    check_problem(
        "limits: {body: 32MB}\n",
        (1, 16),
        "`limits.body`: expected a size such as 32MiB, 64KiB or 1000 (bytes), found `32MB`",
        "",
    );
    check_problem(
        "limits: {body: 0}\n",
        (1, 16),
        "`limits.body`: expected a size such as 32MiB, 64KiB or 1000 (bytes), found 0",
        "",
    );
    check_problem(
        "timeouts: {connect: 5}\n",
        (1, 21),
        "`timeouts.connect`: expected a duration such as 100ms, 5s or 2m; 5 needs a unit",
        "",
    );
    check_problem(
        "stream: {pace: 0s}\n",
        (1, 16),
        "`stream.pace`: expected a duration such as 100ms, 5s or 2m, at most 24h, found `0s`",
        "",
    );
    check_problem(
        "listen: 8080\n",
        (1, 9),
        "`listen`: expected text, found the number 8080",
        "",
    );
    check_problem(
        "listen: localhost\n",
        (1, 9),
        "`listen`: expected an address and a port such as 127.0.0.1:8080 or [::1]:8080, found `localhost`",
        "",
    );
}

#[test]
fn a_wrong_word_names_the_nearest() {
    check_problem(
        "unknown_endpoints: refused\n",
        (1, 20),
        "unknown word `refused`, did you mean `refuse`?",
        "pass and refuse",
    );
    check_problem(
        "policy: {base: balanced, mode: Enforced}\n",
        (1, 32),
        "unknown mode `Enforced`, did you mean `enforce`?",
        "enforce and observe",
    );
    check_problem(
        "labels: {notice: every_turns}\n",
        (1, 18),
        "`labels.notice`: `every_turns` needs a value; write `{every_turns: …}`",
        "",
    );
    check_problem(
        "record: {stdout: 3}\n",
        (1, 9),
        "`record`: `stdout` takes no value; write `stdout`",
        "",
    );
    check_problem(
        &policy("patterns:\n  - {id: a, deny: [x], then: blok}\n"),
        (3, 30),
        "unknown action `blok`, did you mean `block`?",
        "allow, annotate, redact, disclaim, redirect and block",
    );
}

#[test]
fn an_unknown_category_names_the_nearest() {
    check_problem(
        &policy("categories:\n  hatee: {prompt: {block: 0.999}}\n"),
        (3, 3),
        "unknown category `hatee`, did you mean `hate`?",
        "self_harm",
    );
    check_problem(
        &policy("categories:\n  self-harm: {prompt: {block: 0.999}}\n"),
        (3, 3),
        "unknown category `self-harm`, did you mean `self_harm`?",
        "",
    );
}

#[test]
fn a_threshold_lies_between_0_and_1() {
    for (written, shown) in [("1.5", "1.5"), ("-0.1", "-0.1"), ("99", "99")] {
        check_problem(
            &policy(&format!(
                "categories:\n  hate: {{prompt: {{block: {written}}}}}\n"
            )),
            (3, 26),
            &format!(
                "`categories.hate.prompt.block`: threshold {shown} is not between 0 and 1; \
                 0.99 is reached by 1 % of harmless texts"
            ),
            "",
        );
    }
    check_problem(
        &policy("categories:\n  hate: {prompt: {block: high}}\n"),
        (3, 26),
        "`categories.hate.prompt.block`: expected a number, found `high`",
        "",
    );
}

#[test]
fn a_threshold_left_blank_is_not_taken_for_none() {
    check_problem(
        &policy("categories:\n  hate:\n    prompt:\n      block:\n"),
        (5, 7),
        "`categories.hate.prompt.block`: expected a number, found nothing",
        "give it a value, or remove the key",
    );
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    check_problem(
        "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\nlisten: 127.0.0.1:3\n",
        (3, 1),
        "the key `listen` stands twice in one mapping",
        "remove one of the two",
    );
    check_problem(
        &policy("categories:\n  hate: {prompt: {block: 0.9, block: 0.99}}\n"),
        (3, 31),
        "the key `block` stands twice in one mapping",
        "",
    );
}

#[test]
fn attacks_and_categories_stand_under_their_own_key() {
    check_problem(
        &policy("categories:\n  jailbreak: {user: {block: 0.999}}\n"),
        (3, 3),
        "`jailbreak` is an attack, so it stands under `attacks`",
        "move the row to `attacks`",
    );
    check_problem(
        &policy("attacks:\n  hate: {user: {block: 0.999}}\n"),
        (3, 3),
        "`hate` is no attack, so it stands under `categories`",
        "move the row to `categories`",
    );
}

#[test]
fn a_row_cannot_redact_or_allow() {
    check_problem(
        &policy("categories:\n  privacy: {completion: {redact: 0.99}}\n"),
        (3, 26),
        "`redact` cannot stand in a row: classifiers give no spans",
        "use a pattern with `then: redact`",
    );
    check_problem(
        &policy("categories:\n  privacy: {completion: {allow: 0.99}}\n"),
        (3, 26),
        "`allow` needs no threshold: it is what happens below all others",
        "remove it",
    );
}

#[test]
fn a_redirect_needs_its_text() {
    check_problem(
        &policy("categories:\n  self_harm: {prompt: {redirect: 0.99}}\n"),
        (3, 24),
        "`redirect` without a `redirect_text`",
        "add `redirect_text: …` to the row of `self_harm`",
    );
    check_problem(
        &policy("categories:\n  hate: {prompt: {redirect: 0.99}, redirect_text: \" \"}\n"),
        (3, 51),
        "`redirect_text` is empty",
        "",
    );
    check_problem(
        &policy("patterns:\n  - {id: a, deny: [x], then: redirect}\n"),
        (3, 30),
        "`redirect` without a `redirect_text`",
        "to this pattern",
    );
}

#[test]
fn a_stronger_action_needs_the_higher_threshold() {
    check_problem(
        &policy("categories:\n  hate:\n    prompt: {annotate: 0.99, block: 0.9}\n"),
        (4, 37),
        "`block` has a lower threshold than the weaker `annotate`: 0.9 is below 0.99",
        "raise `block` to at least 0.99, or lower `annotate`",
    );
}

#[test]
fn on_system_classifiers_only_annotate() {
    for action in ["disclaim", "redirect", "block"] {
        check_problem(
            &policy(&format!(
                "categories:\n  hate: {{system: {{{action}: 0.99}}}}\n"
            )),
            (3, 19),
            &format!("`{action}` cannot stand on `system`: there classifiers only annotate"),
            "use `annotate`, or a pattern",
        );
    }
}

#[test]
fn a_disclaimer_belongs_to_answers() {
    check_problem(
        &policy("categories:\n  advice_legal: {user: {disclaim: 0.99}}\n"),
        (3, 25),
        "`disclaim` cannot stand on `user`: a disclaimer goes with an answer",
        "put it under `completion`",
    );
    check_problem(
        &policy("patterns:\n  - {id: a, deny: [x], then: disclaim}\n"),
        (3, 30),
        "`disclaim` without a `disclaimer`",
        "",
    );
}

#[test]
fn keys_of_later_versions_say_so() {
    for key in ["cel", "layers", "tenants", "rollout", "locked"] {
        check_problem(
            &policy(&format!("categories: {{}}\n{key}: []\n")),
            (3, 1),
            &format!("`{key}` is not supported yet"),
            "the keys here are name, mode",
        );
    }
    check_problem(
        &policy("categories:\n  hate: {prompt: {block: 0.99}, locked: true}\n"),
        (3, 33),
        "`locked` is not supported yet",
        "",
    );
    check_problem(
        "stream: {mode: speculative}\n",
        (1, 16),
        "stream mode `speculative` is not supported yet",
        "balanced and buffer",
    );
}

#[test]
fn the_linear_tier_has_no_lower_tier() {
    check_problem(
        &policy("on_failure: {linear: lower_tier}\n"),
        (2, 22),
        "the linear tier has no lower tier",
        "use `closed` or `open`",
    );
}

#[test]
fn a_pattern_must_do_something() {
    check_problem(
        &policy("patterns:\n  - {id: a, deny: [x], then: allow}\n"),
        (3, 30),
        "`then: allow` does nothing: what no pattern denies is allowed",
        "list exceptions under `allow`",
    );
    check_problem(
        &policy("patterns:\n  - {id: a, deny: [], then: block}\n"),
        (3, 19),
        "`deny` is empty: nothing would match",
        "",
    );
    check_problem(
        &policy("patterns:\n  - {id: a, deny: [x], then: block, directions: []}\n"),
        (3, 49),
        "`directions` is empty",
        "leave it out for both",
    );
}

#[test]
fn two_patterns_cannot_have_one_id() {
    check_problem(
        &policy(
            "patterns:\n  - {id: a, deny: [x], then: block}\n  - {id: a, deny: [y], then: block}\n",
        ),
        (4, 10),
        "two patterns have the id `a`",
        "give each pattern its own id",
    );
}

#[test]
fn names_fit_into_headers() {
    check_problem(
        "name: \"my policy\"\ncategories: {}\n",
        (1, 7),
        "`my policy` cannot be the name of a policy",
        "it stands in a response header",
    );
    check_problem(
        &policy("patterns:\n  - {id: \"a b\", deny: [x], then: block}\n"),
        (3, 10),
        "`a b` cannot be the id of a pattern",
        "",
    );
}

#[test]
fn a_missing_key_is_named_where_it_belongs() {
    check_problem(
        &policy("patterns:\n  - {id: a, then: block}\n"),
        (3, 5),
        "the key `deny` is missing in `patterns[0]`",
        "add `deny: …`",
    );
    check_problem(
        "policy: {mode: observe}\n",
        (1, 9),
        "the key `name` is missing in `policy`",
        "`base: balanced`",
    );
    check_problem(
        "tls: {cert: a.pem}\n",
        (1, 6),
        "the key `key` is missing in `tls`",
        "add `key: …`",
    );
}

#[test]
fn an_upstream_is_a_base_url() {
    let upstream = |url: &str| format!("upstreams: {{openai: \"{url}\"}}\n");
    let at = (1, 21);
    let base = "an upstream is a base URL without `/v1`; the gate adds the path of each request";
    check_problem(
        &upstream("https://api.openai.com/v1"),
        at,
        base,
        "write `https://api.openai.com`",
    );
    check_problem(&upstream("http://h/x/v1/"), at, base, "write `http://h/x`");
    check_problem(
        &upstream("http://h/v1/chat/completions"),
        at,
        base,
        "write `http://h`",
    );
    let no_url = "this is not an http or https URL with a host";
    check_problem(
        &upstream("api.openai.com"),
        at,
        no_url,
        "https://api.openai.com",
    );
    check_problem(&upstream("http://"), at, no_url, "");
    check_problem(&upstream("http://a b"), at, no_url, "");
    check_problem(
        &upstream("htps://api.openai.com"),
        at,
        "`htps` is no scheme of an upstream, did you mean `https`?",
        "",
    );
    let query = "an upstream URL has no query and no fragment";
    check_problem(&upstream("http://h?key=1"), at, query, "end it before");
    check_problem(&upstream("http://h#x"), at, query, "");
}

#[test]
fn credentials_in_an_upstream_are_refused_and_not_repeated() {
    let text = "upstreams: {openai: \"https://me:hunter2/x@host\"}\nlimts: {}\n";
    let error = check(text, "gate.yaml").unwrap_err();
    assert_eq!(error.problems().count(), 2);
    let rendered = format!("{:?}", miette::Report::new(error));
    assert!(
        rendered.contains("an upstream URL cannot hold credentials"),
        "{rendered}"
    );
    assert!(rendered.contains("@host"), "{rendered}");
    assert!(
        !rendered.contains("hunter2") && !rendered.contains("me:"),
        "{rendered}"
    );
    let wrong_type = check("upstreams: \"https://me:hunter2@host\"\n", "gate.yaml").unwrap_err();
    let rendered = format!("{:?}", miette::Report::new(wrong_type));
    assert!(!rendered.contains("hunter2"), "{rendered}");
}

#[test]
fn a_policy_that_cannot_be_had_does_not_hide_the_rest() {
    let found = problems("policy: strct\nupstreams: {openai: \"http://h/v1\"}\n");
    let lines: Vec<_> = found.iter().map(|problem| problem.place().line).collect();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn limits_that_no_request_could_meet_are_refused() {
    check_problem(
        "limits: {depth: 0}\n",
        (1, 17),
        "`limits.depth` is 0, but it lies from 1 to 512",
        "",
    );
    check_problem(
        "limits: {header: 1KiB}\n",
        (1, 18),
        "`limits.header` is 1KiB, but it is at least 8KiB",
        "",
    );
    check_problem(
        "limits: {decompression_ratio: 0}\n",
        (1, 31),
        "`limits.decompression_ratio` is 0, but it is at least 1",
        "",
    );
}

#[test]
fn the_planes_need_two_addresses() {
    check_problem(
        "listen: 127.0.0.1:9000\nadmin: 127.0.0.1:9000\n",
        (2, 8),
        "`listen` and `admin` are both 127.0.0.1:9000",
        "its own port",
    );
    check_problem(
        "listen: 127.0.0.1:9090\n",
        (1, 9),
        "`listen` and `admin` are both 127.0.0.1:9090",
        "",
    );
}

#[test]
fn notices_and_commands_are_checked() {
    check_problem(
        "labels: {language: tlh}\n",
        (1, 20),
        "there is no built-in notice in `tlh`",
        "`text`",
    );
    check_problem(
        "labels: {notice: {every_turns: 0}}\n",
        (1, 18),
        "`every_turns` is 0",
        "",
    );
    check_problem(
        "commands: {reset_aliases: [forget]}\n",
        (1, 28),
        "`forget` cannot be a command",
        "begins with `/`",
    );
    check_problem(
        "commands: {custom: [{name: /Reset-AI, say: hi}]}\n",
        (1, 28),
        "the command `/Reset-AI` exists already",
        "",
    );
    check_problem(
        "commands: {custom: [{name: /help, say: \"\"}]}\n",
        (1, 40),
        "`say` is empty",
        "",
    );
}

#[test]
fn the_policy_of_a_configuration_can_be_named() {
    check_problem(
        "policy: strct\n",
        (1, 9),
        "unknown policy `strct`, did you mean `strict`?",
        "balanced, strict and observe",
    );
    check_problem(
        "policy: {base: balanced, file: a.yaml}\n",
        (1, 26),
        "`base` and `file` cannot stand together",
        "keep one",
    );
    check_problem(
        "policy: {file: a.yaml}\n",
        (1, 16),
        "a policy file cannot be read from here",
        "inline",
    );
}

#[test]
fn faults_of_yaml_have_their_place() {
    check_problem(
        "listen: [1\nadmin: 2\n",
        (2, 6),
        "the YAML cannot be read: illegal placement of ':' indicator",
        "",
    );
    check_problem(
        "listen: 127.0.0.1:1\n---\nadmin: x\n",
        (3, 1),
        "a second YAML document begins here",
        "remove the `---`",
    );
    let unknown = problems("limits: *nowhere\n");
    assert_eq!((unknown[0].place().line, unknown[0].place().column), (1, 9));
}

#[test]
fn yaml_that_unfolds_without_end_is_refused() {
    let mut bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for (name, of) in ["b", "c", "d", "e", "f", "g", "h"]
        .into_iter()
        .zip("abcdefg".chars())
    {
        let items = vec![format!("*{of}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{items}]\n"));
    }
    assert!(
        problems(&bomb)[0]
            .message()
            .starts_with("the YAML cannot be read")
    );
    let deep = format!("limits: {}1{}\n", "[".repeat(200), "]".repeat(200));
    assert!(
        problems(&deep)[0]
            .message()
            .starts_with("the YAML cannot be read")
    );
    let large = format!("# {}\n", "x".repeat(2 << 20));
    check_problem(&large, (1, 1), "the document is larger than 1 MiB", "");
}

#[test]
fn independent_problems_are_reported_together_and_in_order() {
    let text = "\
listen: here
limits: {bodi: 1MiB, depth: deep}
policy:
  name: mine
  categories:
    hatee: {prompt: {block: 0.99}}
    hate: {prompt: {block: 7, redact: 0.5}}
    crime: {prompt: {annotate: 0.9, block: 0.5}}
  patterns:
    - {id: a, deny: [x], then: blok}
    - {id: b, deny: [y], then: allow}
";
    let places: Vec<_> = problems(text)
        .iter()
        .map(|p| (p.place().line, p.place().column))
        .collect();
    assert_eq!(
        places,
        [
            (1, 9),
            (2, 10),
            (2, 29),
            (6, 5),
            (7, 28),
            (7, 31),
            (8, 44),
            (10, 32),
            (11, 32)
        ]
    );
}

#[test]
fn no_report_only_follows_from_another() {
    let text = "\
policy:
  name: mine
  categories:
    self_harm: {prompt: {redirect: 0.99}, redirect_text: 5}
  patterns:
    - {id: 7, deny: [x], then: block}
";
    let places: Vec<_> = problems(text)
        .iter()
        .map(|p| (p.place().line, p.place().column))
        .collect();
    assert_eq!(places, [(4, 58), (6, 12)]);
}

#[test]
fn a_regex_that_does_not_compile_is_pointed_into() {
    let text = policy("patterns:\n  - {id: a, deny: [\"fine\", 'it''s (un'], then: block}\n");
    let found = problems(&text);
    assert_eq!(found.len(), 1);
    let place = found[0].place();
    assert_eq!((place.line, place.column), (3, 35), "{found:?}");
    assert!(
        found[0]
            .message()
            .starts_with("the regular expression cannot be used: "),
        "{found:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_of_the_surroundings() {
    let error = portcullis_config::load(
        Some("no/such/file.yaml".as_ref()),
        &portcullis_config::Overrides::default(),
    );
    let error = error.unwrap_err();
    assert!(error.is_environment());
    assert!(matches!(error, ConfigError::Unreadable { .. }));
    assert_eq!(error.to_string(), "no/such/file.yaml cannot be read");
}
