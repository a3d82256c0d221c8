import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Emitter } from '../../../../src-shared/base/event.ts'
import type { CloseOutcome } from '../../../../src-main/app/electron/close-guard.ts'
import type { OwnHost } from '../../../../src-main/app/own-host.ts'
import { tempFolder } from '../../../support/temp-folder.ts'
import { BrowserWindowDouble, electron, frame, MessagePortMainDouble } from './electron-double.ts'

let outcome: CloseOutcome = 'end'
vi.mock('electron', async () => (await import('./electron-double.ts')).electron)
vi.mock('../../../../src-main/app/electron/close-guard.ts', () => ({ settleClose: () => Promise.resolve(outcome) }))
const { Desktop } = await import('../../../../src-main/app/electron/desktop.ts')

function ownHost() {
  const quit = new Emitter<{ reason: string }>()
  const calls: string[] = []
  const peers: string[] = []
  const own = {
    host: {
      onQuit: quit.event,
      endUnattended: async () => void calls.push('unattended'),
      server: { attach: (_wire: unknown, peer: { kind: string }) => peers.push(peer.kind) },
    },
    close: async () => void calls.push('close'),
  } as unknown as OwnHost
  return { own, calls, peers, quit }
}

let signals: Record<string, NodeJS.SignalsListener[]>
beforeEach(() => {
  BrowserWindowDouble.reset()
  electron.app.reset()
  electron.ipcMain.removeAllListeners()
  electron.Tray.made = []
  outcome = 'end'
  signals = Object.fromEntries(['SIGTERM', 'SIGINT'].map((name) => [name, process.listeners(name as 'SIGTERM')]))
})
afterEach(() => {
  for (const [name, before] of Object.entries(signals))
    for (const listener of process.listeners(name as 'SIGTERM')) if (!before.includes(listener)) process.off(name, listener)
})

async function openDesktop(host: OwnHost): Promise<{ desktop: InstanceType<typeof Desktop>; window: BrowserWindowDouble }> {
  const desktop = new Desktop(await tempFolder(), host)
  desktop.show()
  await expect.poll(() => BrowserWindowDouble.made[0]?.listenerCount('close')).toBe(2)
  return { desktop, window: BrowserWindowDouble.made[0]! }
}

describe('the last window', () => {
  test('is kept until it is settled, then everything ends in order', async () => {
    const { own, calls } = ownHost()
    const { window } = await openDesktop(own)
    expect(window.attemptClose()).toBe('prevented')
    await expect.poll(() => electron.app.exited).toBe(0)
    expect(calls).toEqual(['close'])
    expect(window.destroyed).toBe(true)
  })

  test('stays when that is the answer', async () => {
    const { own, calls } = ownHost()
    const { window } = await openDesktop(own)
    outcome = 'stay'
    expect(window.attemptClose()).toBe('prevented')
    await new Promise(setImmediate)
    expect(window.destroyed).toBe(false)
    expect(calls).toEqual([])
  })

  test('goes to the tray when machines stay in the background, and comes back from there', async () => {
    const { own, calls } = ownHost()
    const { window } = await openDesktop(own)
    outcome = 'background'
    window.attemptClose()
    await expect.poll(() => electron.Tray.made.length).toBe(1)
    expect(window.destroyed).toBe(true)
    expect(electron.app.exited).toBeNull()
    expect(calls).toEqual([])
    electron.Tray.made[0]!.emit('click')
    await expect.poll(() => BrowserWindowDouble.made.length).toBe(2)
    await expect.poll(() => electron.Tray.made[0]!.destroyed).toBe(true)
  })
})

test('a further window closes without questions', async () => {
  const { own } = ownHost()
  const { window } = await openDesktop(own)
  BrowserWindowDouble.made.push(new BrowserWindowDouble({}))
  expect(window.attemptClose()).toBe('closed')
})

test('the system’s quit is settled like a closed window', async () => {
  const { own } = ownHost()
  await openDesktop(own)
  const prevented = vi.fn()
  electron.app.emit('before-quit', { preventDefault: prevented })
  expect(prevented).toHaveBeenCalled()
  await expect.poll(() => electron.app.exited).toBe(0)
})

test('a host that was told to quit takes its windows along', async () => {
  const { own, quit, calls } = ownHost()
  const { window } = await openDesktop(own)
  quit.fire({ reason: 'asked' })
  await expect.poll(() => electron.app.exited).toBe(0)
  expect(window.destroyed).toBe(true)
  expect(calls).toEqual(['close'])
})

test('ended by the system, machines are dealt with first, as nobody can be asked', async () => {
  const { own, calls } = ownHost()
  await openDesktop(own)
  process.emit('SIGTERM')
  await expect.poll(() => electron.app.exited).toBe(0)
  expect(calls).toEqual(['unattended', 'close'])
})

test('a window’s port reaches the host as a window', async () => {
  const { own, peers } = ownHost()
  await openDesktop(own)
  electron.ipcMain.emit('coppice-wire', { ports: [new MessagePortMainDouble()], senderFrame: frame('coppice://app/') })
  expect(peers).toEqual(['window'])
  electron.ipcMain.emit('coppice-wire', { ports: [new MessagePortMainDouble()], senderFrame: frame('https://evil.example/') })
  expect(peers).toEqual(['window'])
})

test('a second start shows the window that is there', async () => {
  const { own } = ownHost()
  const { desktop, window } = await openDesktop(own)
  window.minimized = true
  desktop.show()
  expect(BrowserWindowDouble.made).toHaveLength(1)
  expect(window).toMatchObject({ minimized: false, focused: true })
})

describe('a window with a machine’s screen', () => {
  const machine = '7c9e6679-7425-40de-944b-e07fc1f90ae7'

  test('is guarded like every other, and asked for again comes to the front', async () => {
    const { own } = ownHost()
    const { desktop, window } = await openDesktop(own)
    desktop.showDisplay(machine)
    const display = BrowserWindowDouble.made[1]!
    expect(display.loaded).toBe(`coppice://app/#/display/${machine}`)
    expect(display.options.webPreferences).toEqual(window.options.webPreferences)
    display.minimized = true
    desktop.showDisplay(machine)
    expect(BrowserWindowDouble.made).toHaveLength(2)
    expect(display).toMatchObject({ minimized: false, focused: true })
    display.emit('closed')
    desktop.showDisplay(machine)
    expect(BrowserWindowDouble.made).toHaveLength(3)
  })

  test('does not stand for the library’s window', async () => {
    const { own } = ownHost()
    const { desktop, window } = await openDesktop(own)
    desktop.showDisplay(machine)
    window.destroy()
    desktop.show()
    await expect.poll(() => BrowserWindowDouble.made.length).toBe(3)
    expect(BrowserWindowDouble.made[2]!.loaded).toBe('coppice://app/')
  })

  test('is kept, when it is the last, until it is settled', async () => {
    const { own } = ownHost()
    const { desktop, window } = await openDesktop(own)
    desktop.showDisplay(machine)
    expect(window.attemptClose()).toBe('closed')
    window.destroy()
    expect(BrowserWindowDouble.made[1]!.attemptClose()).toBe('prevented')
    await expect.poll(() => electron.app.exited).toBe(0)
  })

  test('is not one of hundreds', async () => {
    const { own } = ownHost()
    const { desktop } = await openDesktop(own)
    for (let at = 0; at < 100; at++) desktop.showDisplay(`${machine.slice(0, -3)}${100 + at}`)
    expect(BrowserWindowDouble.made).toHaveLength(1 + 32)
  })
})
