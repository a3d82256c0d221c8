/**
 * V8 forgets pages of translated code that several threads make and drop at once, where it guards them by the processor's memory protection keys, and ends the whole process then
 * ("Check failed: jit_page.has_value()", https://github.com/nodejs/node/issues/64500). Engines are such threads. Only V8 for Linux on x86-64 knows the keys; elsewhere the flag is unknown.
 */
export const NODE_FLAGS = process.platform === 'linux' && process.arch === 'x64' ? ['--no-memory-protection-keys'] : []
