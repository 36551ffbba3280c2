//! The policies that come with the gate.

use portcullis_config::*;
use portcullis_text::{Category, Group, Surface};

fn policy(name: &str) -> Policy {
    match parse_policy(shipped(name).unwrap(), name) {
        Ok(policy) => policy,
        Err(error) => panic!("{:?}", miette::Report::new(error)),
    }
}

#[test]
fn every_shipped_policy_is_whole() {
    for name in SHIPPED {
        let policy = policy(name);
        assert_eq!(policy.name, name);
        for category in Category::ALL {
            let section = match category.group() {
                Group::Attack => &policy.attacks,
                _ => &policy.categories,
            };
            let rules = section
                .get(&category)
                .unwrap_or_else(|| panic!("{name} lacks {category}"));
            assert!(rules.cite.is_some(), "{category} in {name} cites nothing");
        }
        assert!((5..=10).contains(&policy.tests.len()), "{name}");
    }
    assert!(shipped("lenient").is_none());
}

#[test]
fn observe_is_balanced_without_acting() {
    let (balanced, observe) = (policy("balanced"), policy("observe"));
    assert_eq!(
        (balanced.mode, observe.mode),
        (Mode::Enforce, Mode::Observe)
    );
    assert_eq!(observe.categories, balanced.categories);
    assert_eq!(observe.attacks, balanced.attacks);
}

/// What the rows of a policy stop at most, were all categories independent.
fn stopped(policy: &Policy, surface: Surface) -> f32 {
    let rows = policy.categories.values().chain(policy.attacks.values());
    let blocks = rows.filter_map(|rules| rules.on(surface)?.block);
    blocks.map(|threshold| 1.0 - threshold.value()).sum()
}

#[test]
fn the_rates_of_balanced_add_up_to_two_in_a_hundred_at_most() {
    let balanced = policy("balanced");
    for surface in Surface::ALL {
        let stopped = stopped(&balanced, surface);
        assert!(stopped <= 0.02, "{surface:?}: {stopped}");
    }
    assert!(
        stopped(&policy("strict"), Surface::User) > stopped(&policy("balanced"), Surface::User)
    );
}

#[test]
fn a_person_at_risk_is_answered_with_help() {
    for name in SHIPPED {
        let policy = policy(name);
        let rules = &policy.categories[&Category::SelfHarm];
        assert!(rules.on(Surface::User).unwrap().redirect.is_some());
        assert!(rules.on(Surface::User).unwrap().block.is_none());
        let text = rules.redirect_text.as_deref().unwrap();
        for help in ["emergency number", "988", "findahelpline.com"] {
            assert!(text.contains(help), "{name}: {help}");
        }
    }
}

#[test]
fn every_topic_has_a_disclaimer_of_its_own() {
    let topics = Category::ALL
        .into_iter()
        .filter(|category| category.group() == Group::Topic);
    let texts: std::collections::BTreeSet<_> = topics.map(default_disclaimer).collect();
    assert_eq!(texts.len(), 3);
}
