/** A machine's screen in a window of its own: the same page at an address that shows nothing else. */
import type { MachineView } from '../../src-shared/api/machines.ts'
import { inElectron } from '../client/dial.ts'
import { placeHash } from '../state/place.ts'

/** Opens it, or brings it to the front. @returns false where the browser does not let pages open windows. In Electron the main process opens it. */
export function openDisplayWindow(machine: MachineView): boolean {
  const address = new URL(location.href)
  address.hash = placeHash({ page: 'display', id: machine.id })
  const opened = window.open(address, `coppice-display-${machine.id}`, 'popup,width=1040,height=840')
  opened?.focus()
  return opened !== null || inElectron()
}
