import path from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { tempFolder } from '../../../support/temp-folder.ts'
import { BrowserWindowDouble, electron } from './electron-double.ts'

/** What happened, in order. */
let order: string[]
let startFails: AppError | null
vi.mock('electron', async () => (await import('./electron-double.ts')).electron)
vi.mock('../../../../src-main/app/own-host.ts', () => ({
  startOwnHost: (options: object) => {
    order.push('host')
    expect(options).toMatchObject({ shell: 'electron', allowTerminal: true })
    return startFails ? Promise.reject(startFails) : Promise.resolve({ host: {} })
  },
}))
vi.mock('../../../../src-main/app/local/connect.ts', () => ({ connectLocal: () => Promise.resolve('client') }))
vi.mock('../../../../src-main/app/electron/remote-host.ts', () => ({
  remoteHost: (client: string) => {
    order.push(`remote ${client}`)
    return Promise.resolve({})
  },
}))
vi.mock('../../../../src-main/app/serve/window-files.ts', () => ({ readWindowFiles: () => Promise.resolve(new Map()) }))
vi.mock('../../../../src-main/app/electron/desktop.ts', () => ({
  Desktop: class {
    constructor() {
      order.push('desktop')
    }
    show(): void {
      order.push('show')
    }
  },
}))

let folder: string
beforeEach(async () => {
  folder = await tempFolder()
  vi.stubEnv('COPPICE_CACHE', path.join(folder, 'cache'))
  vi.stubEnv('COPPICE_LIBRARY', path.join(folder, 'library'))
  order = []
  startFails = null
  BrowserWindowDouble.reset()
  electron.app.reset()
  electron.protocol.schemes = []
  electron.dialog.errors = []
  electron.app.onReady = () => order.push('ready')
})

let starts = 0
/** Evaluates the entry afresh; what it imports stays. */
const start = () => import(/* @vite-ignore */ `../../../../src-main/app/electron/main.ts?start=${starts++}`)

test('the guards and the scheme stand before Electron is ready, the host comes after', async () => {
  electron.app.onReady = () => {
    expect(electron.app.listenerCount('web-contents-created')).toBe(1)
    expect(electron.protocol.schemes).toHaveLength(1)
    expect(electron.app.paths['userData']).toMatch(/cache[\\/]electron[\\/][0-9a-f]{12}$/)
    expect(electron.app.lockAsked).toBe(true)
    order.push('ready')
  }
  await start()
  await expect.poll(() => order).toEqual(['ready', 'host', 'desktop', 'show'])
  expect(electron.session.defaultSession.request).not.toBeNull()
  electron.app.emit('second-instance')
  expect(order.at(-1)).toBe('show')
})

test('a second instance ends before it touches anything', async () => {
  electron.app.lock = false
  await start()
  expect(electron.app.exited).toBe(0)
  expect(order).toEqual([])
})

test('where a host runs already, windows are opened onto it', async () => {
  startFails = new AppError('already-exists', 'Coppice already runs.')
  await start()
  await expect.poll(() => order).toEqual(['ready', 'host', 'remote client', 'desktop', 'show'])
})

test('a start that fails says why and ends', async () => {
  startFails = new AppError('denied', 'The library folder cannot be made.')
  await start()
  await expect.poll(() => electron.app.exited).toBe(1)
  expect(electron.dialog.errors).toEqual([['Coppice could not start', 'The library folder cannot be made.']])
})
