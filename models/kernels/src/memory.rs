//! Memory that was freed, back to the system. For programs whose allocator is mimalloc.

/// Gives back what this thread freed and what ended threads left. mimalloc keeps freed memory for
/// what comes next, which is right but after a step that needs much more than all later ones, such
/// as loading a model.
pub fn give_back() {
    // SAFETY: it may be called at any time and from any thread; it touches free memory only.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
