/** Plugging cards in and out, with a way back. */
import type { NicView } from '../../../src-shared/api/networks.ts'
import type { WindowState } from '../../state/window-state.svelte.ts'
import { toast, toastError } from '../../ui/toasts.svelte.ts'

/** @param network null: out */
export async function plugIn(win: WindowState, nic: NicView | undefined, network: string | null): Promise<void> {
  if (!nic || nic.network === network) return
  const { machine, nic: id, name, network: before } = nic
  const connect = (to: string | null): Promise<void> => win.host.networks.connect({ machine, nic: id, network: to })
  try {
    await connect(network)
    toast({
      text: network === null ? `${id} of “${name}” is plugged in nowhere now.` : `${id} of “${name}” is in the network “${network}” now.`,
      action: { label: 'Undo', run: () => void connect(before).catch((error: unknown) => toastError(error)) },
    })
  } catch (error) {
    toastError(error)
  }
}

export function unplug(win: WindowState, nic: NicView): Promise<void> {
  return plugIn(win, nic, null)
}
