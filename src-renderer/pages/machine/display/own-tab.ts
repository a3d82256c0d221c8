/** Where a machine shows itself when nobody has chosen a tab. Pure. */
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import type { MachineTab } from '../../../state/place.ts'

/**
 * A kernel that is told to speak on a serial port has its shell there, and its screen may stay empty; everything else (firmware, boot menus,
 * installers) is on the screen. The last `console=` is where the kernel's own console is (Linux, Documentation/admin-guide/serial-console.rst).
 */
export function ownTab({ config }: Pick<MachineView, 'config'>): MachineTab {
  if (config === null) return 'console'
  if ('display' in config && config.display === 'none') return 'console'
  if (config.boot.kind !== 'kernel') return 'display'
  const console = [...config.boot.cmdline.matchAll(/(?:^|\s)console=(\S+)/g)].at(-1)?.[1]
  return console !== undefined && /^(tty(S|AMA|USB)|hvc|uart)/.test(console) ? 'console' : 'display'
}
