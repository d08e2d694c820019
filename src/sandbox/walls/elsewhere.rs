//! The walls that only Linux has, on other systems.

fn missing<T>() -> Result<T, String> {
    Err("needs Linux".to_owned())
}

pub fn end_with_service() -> Result<(), String> {
    missing()
}

pub fn refuse_new_privileges() -> Result<(), String> {
    missing()
}

pub fn drop_capabilities() -> Result<(), String> {
    missing()
}

pub fn landlock() -> [Result<(), String>; 3] {
    [missing(), missing(), missing()]
}

pub fn hide_memory() -> Result<(), String> {
    missing()
}

pub fn allow_only_needed_calls() -> Result<(), String> {
    missing()
}
