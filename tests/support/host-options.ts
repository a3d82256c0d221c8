/** Options for a host in a test: its own library, the machine's cache (so that appliances are built once), the checkout's resources. */
import { homedir } from 'node:os'
import path from 'node:path'
import type { HostOptions } from '../../src-main/host/host-options.ts'

export function testCacheFolder(): string {
  return process.env['COPPICE_CACHE'] ?? path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'coppice')
}

export function defaultHostOptions(library: string): HostOptions {
  return {
    library,
    cacheFolder: testCacheFolder(),
    resources: path.resolve(import.meta.dirname, '../../resources'),
    shell: 'headless',
    allowTerminal: false,
    version: '0.0.0-test',
    logFolder: null,
  }
}
