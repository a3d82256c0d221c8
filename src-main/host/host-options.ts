/** What a host is told about the computer it runs on, and may show. */
import type { HostInfo } from '../../src-shared/api/system.ts'

export interface HostOptions {
  /** The library folder; made when missing. */
  library: string
  /** For what can be fetched or built again. */
  cacheFolder: string
  /** Holds firmware/ and guest/. */
  resources: string
  shell: HostInfo['shell']
  /** Whether host terminals may be opened. */
  allowTerminal: boolean
  version: string
  /** Null: no log file. */
  logFolder: string | null
}
