/** What is changed in more than one place of the window, with a question before what is lost and a way back from the rest. */
import type { NetworkView, NicView } from '../../../src-shared/api/networks.ts'
import { DEFAULT_NETWORK, type Router } from '../../../src-shared/model/network.ts'
import type { WindowState } from '../../state/window-state.svelte.ts'
import { ask } from '../../ui/ask.svelte.ts'
import { toast, toastError } from '../../ui/toasts.svelte.ts'
import { machineCount } from './network-words.ts'

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

export async function removeNetwork({ host, networks, route }: WindowState, { network: { name }, nics }: NetworkView): Promise<void> {
  if (name === DEFAULT_NETWORK) {
    toast({ text: `The network “${name}” is always there.` })
    return
  }
  const routers = networks.routers.filter(({ router }) => router.interfaces.some(({ network }) => network === name))
  const sure = await ask({
    title: `Delete the network “${name}”?`,
    text: [
      nics.length === 0 ? null : `The cards of ${machineCount(nics)} in it will be plugged in nowhere.`,
      routers.length === 0 ? null : `${routers.map(({ router }) => `“${router.name}”`).join(', ')} will no longer lead there.`,
      'Its forwards, reservations and names go with it.',
    ]
      .filter((sentence) => sentence !== null)
      .join(' '),
    action: 'Delete network',
    danger: true,
  })
  if (!sure) return
  try {
    await host.networks.remove({ name, unplug: nics.length > 0 })
    route.go({ page: 'networks', view: 'map', focus: null })
  } catch (error) {
    toastError(error)
  }
}

export async function removeRouter({ host, route }: WindowState, before: Router): Promise<void> {
  try {
    await host.networks.removeRouter({ name: before.name })
    route.go({ page: 'networks', view: 'map', focus: null })
    toast({
      text: `The router “${before.name}” is gone.`,
      action: { label: 'Undo', run: () => void host.networks.putRouter(before).catch((error: unknown) => toastError(error)) },
    })
  } catch (error) {
    toastError(error)
  }
}

/** With addresses of its own, which Coppice chooses. Where it stands already, those that it lacks. */
export async function joinRouter({ host }: WindowState, router: Router, network: string): Promise<void> {
  const joined = router.interfaces.some((one) => one.network === network)
  const interfaces = joined ? router.interfaces : [...router.interfaces, { network, ipv4: null, ipv6: null }]
  await host.networks.putRouter({ ...router, interfaces }).catch((error: unknown) => toastError(error))
}

export async function leaveRouter({ host }: WindowState, before: Router, network: string): Promise<void> {
  try {
    await host.networks.putRouter({ ...before, interfaces: before.interfaces.filter((one) => one.network !== network) })
    toast({
      text: `The router “${before.name}” is no longer in the network “${network}”.`,
      action: { label: 'Undo', run: () => void host.networks.putRouter(before).catch((error: unknown) => toastError(error)) },
    })
  } catch (error) {
    toastError(error)
  }
}
