import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { appRoot, cacheFolder, defaultLibrary, logFolder, resourcesFolder, version } from '../../../src-main/app/paths.ts'

describe('paths', () => {
  it('follow the environment where it says something', () => {
    const env = { COPPICE_LIBRARY: '/data/lib', COPPICE_CACHE: '/data/cache', COPPICE_STATE: '/data/state' }
    expect([defaultLibrary(env, '/home/u'), cacheFolder(env, '/home/u', 'linux'), logFolder(env, '/home/u', 'linux')]).toEqual(
      ['/data/lib', '/data/cache', '/data/state'].map((path) => resolve(path)),
    )
  })

  it('are the platform’s own otherwise', () => {
    expect(defaultLibrary({ COPPICE_LIBRARY: '' }, '/home/u')).toBe(resolve('/home/u/Coppice'))
    expect(cacheFolder({}, '/home/u', 'linux')).toBe(join('/home/u', '.cache', 'coppice'))
    expect(cacheFolder({ XDG_CACHE_HOME: '/c' }, '/home/u', 'linux')).toBe(join('/c', 'coppice'))
    expect(cacheFolder({}, '/Users/u', 'darwin')).toBe(join('/Users/u', 'Library', 'Caches', 'Coppice'))
    expect(cacheFolder({ LOCALAPPDATA: '/L' }, '/u', 'win32')).toBe(join('/L', 'Coppice', 'Cache'))
    expect(logFolder({}, '/home/u', 'linux')).toBe(join('/home/u', '.local', 'state', 'coppice'))
    expect(logFolder({}, '/Users/u', 'darwin')).toBe(join('/Users/u', 'Library', 'Logs', 'Coppice'))
  })

  it('find the checkout', () => {
    expect(existsSync(join(appRoot, 'package.json'))).toBe(true)
    expect(resourcesFolder()).toBe(join(appRoot, 'resources'))
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
  })
})
