/**
 * Where a thread's entry is: beside the built host (out/main/<name>.thread.js), or in the sources when these run as they are (tests, CLI in
 * a checkout; Node 24 strips the types).
 */
const fromSource = import.meta.url.endsWith('.ts')
/** Packaged, threads run from the plain files beside Electron's archive, as they do under Node. */
const here = import.meta.url.replace('/app.asar/', '/app.asar.unpacked/')

export type ThreadName = 'embedded' | 'qemu' | 'storage' | 'appliance' | 'network'

/** @param name the last is the embedded engine's, which starts it itself */
export function threadUrl(name: ThreadName | 'memory'): URL {
  return new URL(fromSource ? `./${name}.thread.ts` : `./${name}.thread.js`, here)
}
