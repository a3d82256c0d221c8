import { expect, test } from 'vitest'
import { ownTab } from '../../../../src-renderer/pages/machine/display/own-tab.ts'
import type { MachineConfig } from '../../../../src-shared/model/machine.ts'

const kernel = (cmdline: string): Partial<MachineConfig> => ({ boot: { kind: 'kernel', kernel: 'k', initrd: null, cmdline } })
const firmware: Partial<MachineConfig> = { boot: { kind: 'firmware', order: ['disk'] } }

test.each<[string, Partial<MachineConfig> | null, string]>([
  ['firmware speaks on the screen', firmware, 'display'],
  ['a kernel without a word about it, too', kernel('quiet'), 'display'],
  ['a kernel on a serial port', kernel('console=ttyS0,115200 quiet'), 'console'],
  ['a kernel on both: the last is its own', kernel('console=tty0 console=ttyS0'), 'console'],
  ['and the other way round', kernel('console=ttyS0 console=tty0'), 'display'],
  ['an ARM serial port', kernel('console=ttyAMA0'), 'console'],
  ['a virtual console', kernel('console=hvc0'), 'console'],
  ['an unreadable bundle', null, 'console'],
])('%s', (_name, config, tab) => {
  expect(ownTab({ config: config as MachineConfig | null })).toBe(tab)
})
