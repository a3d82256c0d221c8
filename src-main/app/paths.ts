/** Where things lie on this computer. Pure but for the environment: nothing here is created or checked. All paths are absolute. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

type Environment = Readonly<Record<string, string | undefined>>

/** COPPICE_LIBRARY, or `Coppice` in the home folder. */
export function defaultLibrary(env: Environment = process.env, home: string = homedir()): string {
  return resolve(given(env['COPPICE_LIBRARY']) ?? join(home, 'Coppice'))
}

/** For what can be made again: COPPICE_CACHE, or the platform's cache folder (XDG Base Directory Specification on Linux). */
export function cacheFolder(
  env: Environment = process.env,
  home: string = homedir(),
  platform: NodeJS.Platform = process.platform,
): string {
  const own = given(env['COPPICE_CACHE'])
  if (own !== undefined) return resolve(own)
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'Coppice')
  if (platform === 'win32') return join(given(env['LOCALAPPDATA']) ?? join(home, 'AppData', 'Local'), 'Coppice', 'Cache')
  return join(given(env['XDG_CACHE_HOME']) ?? join(home, '.cache'), 'coppice')
}

/** For the host's log: COPPICE_STATE, or the platform's place for such files. */
export function logFolder(env: Environment = process.env, home: string = homedir(), platform: NodeJS.Platform = process.platform): string {
  const own = given(env['COPPICE_STATE'])
  if (own !== undefined) return resolve(own)
  if (platform === 'darwin') return join(home, 'Library', 'Logs', 'Coppice')
  if (platform === 'win32') return join(given(env['LOCALAPPDATA']) ?? join(home, 'AppData', 'Local'), 'Coppice', 'Logs')
  return join(given(env['XDG_STATE_HOME']) ?? join(home, '.local', 'state'), 'coppice')
}

/**
 * The folder of package.json: the code runs from src-main/app/ or, built, from out/main/. Packaged, that is the plain files beside Electron's
 * archive, which hold all that is read as files.
 */
export const appRoot = rootOf(fileURLToPath(import.meta.url)).replace(/\bapp\.asar$/, 'app.asar.unpacked')

function rootOf(file: string): string {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder))
    if (['src-main', 'out'].includes(basename(folder))) return dirname(folder)
  throw new Error(`${file} is in neither src-main nor out`)
}

/** Holds firmware/, guest/ and icons/. Packaged, they lie beside the application's files. */
export function resourcesFolder(): string {
  return basename(appRoot) === 'app.asar.unpacked' ? dirname(appRoot) : join(appRoot, 'resources')
}

/** The built window. */
export const rendererFolder = join(appRoot, 'out', 'renderer')

/** As in package.json. */
export const version: string = (JSON.parse(readFileSync(join(appRoot, 'package.json'), 'utf8')) as { version: string }).version

/** A set and not empty variable: an empty one counts as unset (XDG Base Directory Specification, "set but empty"). */
function given(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value
}
