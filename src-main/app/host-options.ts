/** How the shells (window, served, headless) start the host: the same folders for all, so that they can take over from each other. */
import { join } from 'node:path'
import type { HostOptions } from '../host/host.ts'
import { libraryId, realLibraryPath } from './local/runtime-folder.ts'
import { cacheFolder, logFolder, resourcesFolder, version } from './paths.ts'

/** @param library absolute */
export async function hostOptions(
  library: string,
  { shell, allowTerminal }: Pick<HostOptions, 'shell' | 'allowTerminal'>,
): Promise<HostOptions> {
  return {
    library,
    cacheFolder: cacheFolder(),
    resources: resourcesFolder(),
    shell,
    allowTerminal,
    version,
    // One folder for each library: two hosts never write one log.
    logFolder: join(logFolder(), libraryId(await realLibraryPath(library))),
  }
}
