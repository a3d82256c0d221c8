/** Colours of states, beside their words. */
import type { MachineState } from '../../../src-shared/model/machine-state.ts'

export function stateStyle(state: MachineState): 'green' | 'red' | 'yellow' | 'cyan' | 'dim' {
  switch (state) {
    case 'running':
      return 'green'
    case 'crashed':
    case 'broken':
      return 'red'
    case 'paused':
    case 'suspended':
      return 'yellow'
    case 'off':
      return 'dim'
    default:
      return 'cyan' // on its way
  }
}
