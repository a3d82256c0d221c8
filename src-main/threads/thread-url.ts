/**
 * Where a thread's entry is: beside the built host (out/main/<name>.thread.js), or in the sources when these run as they are (tests, CLI in
 * a checkout; Node 24 strips the types).
 */
const fromSource = import.meta.url.endsWith('.ts')
/** Packaged, threads run from the plain files beside Electron's archive, as they do under Node. */
const here = import.meta.url.replace('/app.asar/', '/app.asar.unpacked/')

export type ThreadName = 'embedded' | 'qemu' | 'storage' | 'appliance' | 'network'

/** @param name the last two are the embedded engine's and the network thread's, which start them themselves */
export function threadUrl(name: ThreadName | 'memory' | 'tap'): URL {
  return new URL(fromSource ? `./${name}.thread.ts` : `./${name}.thread.js`, here)
}
