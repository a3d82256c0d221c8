/** Display, pointer and keyboard. */
import type { QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import { slot, type Board } from './board.ts'
import { device, escapeValue, option } from './option.ts'
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
 * A tablet, so that the pointer is where the user's is. PCs have their PS/2 keyboard, which every firmware and system knows; the
 * other boards get one on USB.
 */
export function inputArguments({ devices }: QemuSpec, board: Board): string[] {
  const controller = devices === 'legacy' ? 'piix3-usb-uhci' : 'qemu-xhci'
  return [
    ...device(controller, { id: 'usb', ...slot(board, 'usb') }),
    ...device('usb-tablet', { id: 'tablet', bus: 'usb.0' }),
    ...(board.pc ? [] : device('usb-kbd', { id: 'keyboard', bus: 'usb.0' })),
  ]
}
