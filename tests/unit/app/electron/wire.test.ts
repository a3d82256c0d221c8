import { beforeEach, expect, test, vi } from 'vitest'
import type { Wire } from '../../../../src-shared/rpc/wire.ts'
import { electron, frame, MessagePortMainDouble } from './electron-double.ts'

vi.mock('electron', async () => (await import('./electron-double.ts')).electron)
const { acceptWires, mainPort } = await import('../../../../src-main/app/electron/wire.ts')

let ports: MessagePortMainDouble[]
beforeEach(() => {
  ports = [new MessagePortMainDouble(), new MessagePortMainDouble()]
  electron.ipcMain.removeAllListeners()
})

test('a port of our window becomes a wire that starts when it is opened', () => {
  const wires: Wire[] = []
  const accepting = acceptWires((open) => {
    expect(ports[0]!.started).toBe(false)
    wires.push(open())
  })
  electron.ipcMain.emit('coppice-wire', { ports: [ports[0]], senderFrame: frame('coppice://app/') })
  expect(ports[0]!.started).toBe(true)
  const received: unknown[] = []
  wires[0]!.onMessage((message) => received.push(message))
  ports[0]!.emit('message', { data: { t: 'end', id: 1 } })
  expect(received).toEqual([{ t: 'end', id: 1 }])
  const data = new Uint8Array([1, 2])
  wires[0]!.post({ t: 'data', id: 1, data }, [data.buffer])
  expect(ports[0]!.posted).toEqual([{ t: 'data', id: 1, data }])
  accepting.dispose()
  expect(electron.ipcMain.listenerCount('coppice-wire')).toBe(0)
})

test('the window’s end closes the wire, once', () => {
  let closes = 0
  acceptWires((open) => open().onClose(() => closes++))
  electron.ipcMain.emit('coppice-wire', { ports: [ports[0]], senderFrame: frame('coppice://app/') })
  ports[0]!.close()
  ports[0]!.emit('close')
  expect(closes).toBe(1)
})

test.each([frame('https://evil.example/'), frame('coppice://app/', frame('coppice://app/')), null])(
  'other senders’ ports are closed',
  (senderFrame) => {
    const connect = vi.fn()
    acceptWires(connect)
    electron.ipcMain.emit('coppice-wire', { ports, senderFrame })
    expect(connect).not.toHaveBeenCalled()
    expect(ports.every(({ closed }) => closed)).toBe(true)
  },
)

test('no port is nothing, and of several only the first is taken', () => {
  const connect = vi.fn()
  acceptWires(connect)
  electron.ipcMain.emit('coppice-wire', { ports: [], senderFrame: frame('coppice://app/') })
  expect(connect).not.toHaveBeenCalled()
  electron.ipcMain.emit('coppice-wire', { ports, senderFrame: frame('coppice://app/') })
  expect(connect).toHaveBeenCalledTimes(1)
  expect(ports.map(({ closed }) => closed)).toEqual([false, true])
})

test('a port can be given up unopened', () => {
  acceptWires((_open, abandon) => abandon())
  electron.ipcMain.emit('coppice-wire', { ports: [ports[0]], senderFrame: frame('coppice://app/') })
  expect(ports[0]!.closed).toBe(true)
})

test('posting passes no transfer list on: Electron transfers ports alone', () => {
  const port = new MessagePortMainDouble()
  const post = vi.spyOn(port, 'postMessage')
  mainPort(port as never).postMessage({ a: 1 }, [new ArrayBuffer(1)])
  expect(post.mock.calls).toEqual([[{ a: 1 }]])
})
