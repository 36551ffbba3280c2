//! One layer over another: flags over environment over file over base.

use super::{Entry, Node, Span, Value};

/// Lays `changes` over `base`: mappings key by key, everything else replaces. A written `null`
/// takes a key of the base away.
pub(crate) fn merge(base: Node, changes: Node) -> Node {
    match (base.value, changes.value) {
        (Value::Map(mut entries), Value::Map(changed)) => {
            for change in changed {
                lay_over(&mut entries, change);
            }
            Node::new(Value::Map(entries), changes.span)
        }
        (_, value) => Node {
            value,
            span: changes.span,
            is_damaged: changes.is_damaged,
        },
    }
}

fn lay_over(entries: &mut Vec<Entry>, change: Entry) {
    let Some(idx) = entries.iter().position(|entry| entry.key == change.key) else {
        entries.push(change);
        return;
    };
    // A key left blank by accident must not lift a row: only `null` or `~` in letters does.
    if matches!(change.value.value, Value::Null) && !change.value.span.range.is_empty() {
        entries.remove(idx);
        return;
    }
    let old = entries.remove(idx);
    let value = merge(old.value, change.value);
    entries.insert(idx, Entry { value, ..change });
}

/// Sets the value at the end of a path, making mappings on the way.
pub(crate) fn set(node: &mut Node, path: &[(String, Span)], value: Node) {
    let Some(((key, key_span), rest)) = path.split_first() else {
        *node = value;
        return;
    };
    if !matches!(node.value, Value::Map(_)) {
        node.value = Value::Map(Vec::new());
        node.span = key_span.clone();
    }
    let Value::Map(entries) = &mut node.value else {
        return;
    };
    let known = entries.iter().position(|entry| entry.key == *key);
    let idx = known.unwrap_or(entries.len());
    if known.is_none() {
        let value = Node::new(Value::Map(Vec::new()), key_span.clone());
        entries.push(Entry {
            key: key.clone(),
            key_span: key_span.clone(),
            value,
        });
    }
    if let Some(entry) = entries.get_mut(idx) {
        if rest.is_empty() {
            entry.key_span = key_span.clone();
        }
        set(&mut entry.value, rest, value);
    }
}
