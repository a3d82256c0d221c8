/** Display, pointer and keyboard. */
import type { MachineSpec, QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import { slot, type Board } from './board.ts'
import { device, escapeValue, option, type DeviceValues } from './option.ts'
import type { QemuRuntime } from './runtime.ts'

/** VNC displays are numbered from this port on (RFC 6143 section 3 leaves the number to convention). */
const FIRST_VNC_PORT = 5900

/** RFB on a unix socket. Never QEMU's websocket: with a unix socket it opens port 5700 on every address. */
export function displayArguments({ display }: QemuSpec, { display: endpoint }: QemuRuntime, board: Board): string[] {
  if (display === 'none' || endpoint === null) return []
  const where = endpoint.kind === 'unix' ? `unix:${escapeValue(endpoint.path)}` : `127.0.0.1:${endpoint.port - FIRST_VNC_PORT}`
  return [
    ...device(adapter(display, board), { id: 'display', ...slot(board, 'display') }),
    '-vnc',
    option(where, { share: 'force-shared' }),
  ]
}

function adapter(display: 'vga' | 'virtio', board: Board): string {
  if (display === 'vga') return 'VGA'
  return board.pc ? 'virtio-vga' : 'virtio-gpu-pci'
}

/**
 * PCs have their PS/2 keyboard and mouse, which every firmware and system knows; the other boards get theirs on USB. Where a tablet is
 * there it is the pointer.
 */
export function inputArguments(spec: MachineSpec, { devices }: QemuSpec, board: Board): string[] {
  const controller = devices === 'legacy' ? 'piix3-usb-uhci' : 'qemu-xhci'
  const { driver, ...values } = pointerDevice(spec.pointer ?? 'tablet', board) ?? {}
  return [
    ...device(controller, { id: 'usb', ...slot(board, 'usb') }),
    ...(driver === undefined ? [] : device(driver, values)),
    ...(board.pc ? [] : device('usb-kbd', { id: 'keyboard', bus: 'usb.0' })),
  ]
}

/** Null: the board has it. */
export function pointerDevice(pointer: 'tablet' | 'mouse', board: Board): DeviceValues | null {
  if (pointer === 'tablet') return { driver: 'usb-tablet', id: 'tablet', bus: 'usb.0' }
  return board.pc ? null : { driver: 'usb-mouse', id: 'mouse', bus: 'usb.0' }
}
