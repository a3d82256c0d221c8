import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { tempFolder } from '../../../support/temp-folder.ts'
import { BrowserWindowDouble, electron } from './electron-double.ts'

vi.mock('electron', async () => (await import('./electron-double.ts')).electron)
const { openWindow } = await import('../../../../src-main/app/electron/window.ts')
const { webPreferences } = await import('../../../../src-main/app/electron/security.ts')

let folder: string
beforeEach(async () => {
  folder = await tempFolder()
  BrowserWindowDouble.made = []
})

const open = () => openWindow({ preload: '/preload.cjs', state: path.join(folder, 'window.json'), icon: '/icon.png' })

test('a window is guarded, shows our page, and appears when it is painted', async () => {
  await open()
  const window = BrowserWindowDouble.made[0]!
  expect(window.options).toMatchObject({
    show: false,
    width: 1280,
    height: 800,
    minWidth: 900,
    title: 'Coppice',
    backgroundColor: '#ffffff',
  })
  expect(window.options.webPreferences).toEqual(webPreferences('/preload.cjs'))
  expect(window.loaded).toBe('coppice://app/')
  expect(window.shown).toBe(false)
  window.emit('ready-to-show')
  expect(window.shown).toBe(true)
})

test('in the dark it does not flash white', async () => {
  electron.nativeTheme.shouldUseDarkColors = true
  await open()
  expect(BrowserWindowDouble.made[0]!.options.backgroundColor).toBe('#161815')
  electron.nativeTheme.shouldUseDarkColors = false
})

test('the next one opens where the last one was', async () => {
  await open()
  const first = BrowserWindowDouble.made[0]!
  first.maximized = true
  first.emit('close', { preventDefault: () => {} })
  await open()
  const second = BrowserWindowDouble.made[1]!
  expect(second.options).toMatchObject({ x: 40, y: 50, width: 1100, height: 700 })
  expect(second.maximized).toBe(true)
})

test('a place that cannot be remembered keeps no window open', async () => {
  await writeFile(path.join(folder, 'file'), '')
  await openWindow({ preload: '/preload.cjs', state: path.join(folder, 'file', 'window.json'), icon: '/icon.png' })
  expect(() => BrowserWindowDouble.made[0]!.emit('close', { preventDefault: () => {} })).not.toThrow()
})

test('a page that cannot be loaded is told, one whose window was closed meanwhile is not', async () => {
  const load = vi
    .spyOn(BrowserWindowDouble.prototype, 'loadURL')
    .mockImplementation(() => new Promise((_, reject) => setImmediate(() => reject(new Error('ERR_FAILED')))))
  const told = vi.spyOn(electron.dialog, 'showErrorBox').mockImplementation(() => {})
  const settled = () => new Promise((resolve) => setTimeout(resolve, 10))
  const closed = await open()
  closed.destroy()
  await settled()
  expect(told).not.toHaveBeenCalled()
  await open()
  await settled()
  expect(told).toHaveBeenCalledTimes(1)
  load.mockRestore()
  told.mockRestore()
})

test.each([
  ['loads it again', 0, 'coppice://app/', false],
  ['closes it', 1, null, true],
])('a window whose page died is not left blank: one answer %s', async (_what, response, loaded, destroyed) => {
  await open()
  const window = BrowserWindowDouble.made[0]!
  window.loaded = null
  window.webContents.emit('render-process-gone', {}, { reason: 'clean-exit' })
  expect(electron.dialog.shown).toEqual([])
  electron.dialog.answers = [{ response }]
  window.webContents.emit('render-process-gone', {}, { reason: 'oom' })
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(electron.dialog.shown).toMatchObject([{ message: 'This window stopped working' }])
  expect({ loaded: window.loaded, destroyed: window.destroyed }).toEqual({ loaded, destroyed })
  electron.dialog.shown = []
})
