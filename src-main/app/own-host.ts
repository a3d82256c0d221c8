/** A host of this process: the library is claimed first, so that no second host opens it; then the host starts; then others can reach it. */
import { join } from 'node:path'
import type { HostInfo } from '../../src-shared/api/system.ts'
import { startHost, type CoppiceHost } from '../host/host.ts'
import { claimLibrary, type Claim, type Waiting } from './local/claim.ts'
import { listenLocal } from './local/listen.ts'
import { libraryId, realLibraryPath } from './local/runtime-folder.ts'
import { cacheFolder, logFolder, resourcesFolder, version } from './paths.ts'

export interface OwnHost {
  readonly host: CoppiceHost
  readonly claim: Claim
  /** Ends the host and gives the library free. Deal with running machines before. */
  close(): Promise<void>
}

export interface OwnHostOptions extends Pick<HostInfo, 'shell'> {
  library: string
  allowTerminal: boolean
  /** Called with a sentence where a host that is ending is waited for. */
  waiting?: Waiting
}

/** @throws AppError `already-exists` where a host has the library */
export async function startOwnHost(given: OwnHostOptions): Promise<OwnHost> {
  const { waiting, ...options } = given
  const claim = await claimLibrary(options.library, waiting)
  let host: CoppiceHost | null = null
  try {
    // A folder for each library: two hosts never write one log.
    const logs = join(logFolder(), libraryId(await realLibraryPath(options.library)))
    host = await startHost({ ...options, cacheFolder: cacheFolder(), resources: resourcesFolder(), logFolder: logs, version })
    host.onEnding((ending) => void claim.setEnding(ending))
    await listenLocal(host, options.library, claim)
  } catch (error) {
    await host?.close()
    await claim.close()
    throw error
  }
  const running = host
  return {
    host: running,
    claim,
    close: async () => {
      await claim.setEnding(true)
      await running.close()
      await claim.close()
    },
  }
}
