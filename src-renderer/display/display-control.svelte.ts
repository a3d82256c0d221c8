/** One shown screen: its session and picture, and what the person has chosen about them. */
import type { MachineView } from '../../src-shared/api/machines.ts'
import { DisposableStore, type Disposable } from '../../src-shared/base/disposable.ts'
import type { Host } from '../client/host.ts'
import type { FollowStatus } from '../client/stream-follower.ts'
import { remembered } from '../state/remembered.ts'
import { DisplaySession } from './display-session.ts'
import { sendCombination, type Combination, type SendKey } from './key-combinations.ts'
import { NO_VIEW, RfbView, type ViewState } from './rfb-view.ts'

/** `fit`: as large as the window allows. `actual`: one guest pixel is one pixel of the page, with scroll bars where it does not fit. */
export type Zoom = 'fit' | 'actual'

const lastZoom = remembered<Zoom>('display-zoom', 'fit', (value) => value === 'fit' || value === 'actual')
const lastResizes = remembered<boolean>('display-resizes-guest', false, (value) => typeof value === 'boolean')

export class DisplayControl implements Disposable {
  #session: DisplaySession<RfbView>
  #store = new DisposableStore()
  #zoom = $state<Zoom>(lastZoom.read())
  #resizesGuest = $state(lastResizes.read())
  #viewOnly = $state(false)
  /** A machine that stands still takes nothing. */
  #awake = $state(false)
  #onTakes: () => void

  status = $state.raw<FollowStatus>({ kind: 'idle' })
  view = $state.raw<ViewState>(NO_VIEW)

  /** @param place the element that the picture fills @param onTakes the screen takes keys from now on */
  constructor(host: Host, machine: MachineView, place: HTMLElement, onTakes: () => void) {
    this.#onTakes = onTakes
    this.#session = this.#store.add(
      new DisplaySession<RfbView>(
        (signal) => host.machines.display({ id: machine.id }, { signal }),
        (channel) => {
          const view = new RfbView(place, channel, `Screen of ${machine.name}`)
          view.onChange((state) => (this.view = state))
          this.#configure(view)
          return view
        },
      ),
    )
    this.#store.add(
      this.#session.onStatus((status) => {
        this.status = status
        if (status.kind === 'live') onTakes()
        else this.view = NO_VIEW
      }),
    )
    const watch = (): void => this.#session.hold(document.visibilityState === 'hidden')
    document.addEventListener('visibilitychange', watch)
    this.#store.defer(() => document.removeEventListener('visibilitychange', watch))
    watch()
    this.machineChanged(machine)
    this.#session.attach()
    this.status = this.#session.status
  }

  get zoom(): Zoom {
    return this.#zoom
  }
  set zoom(zoom: Zoom) {
    this.#zoom = zoom
    lastZoom.write(zoom)
    this.#configure()
  }

  get resizesGuest(): boolean {
    return this.#resizesGuest
  }
  set resizesGuest(yes: boolean) {
    this.#resizesGuest = yes
    lastResizes.write(yes)
    this.#configure()
  }

  get viewOnly(): boolean {
    return this.#viewOnly
  }
  set viewOnly(yes: boolean) {
    this.#viewOnly = yes
    this.#configure()
  }

  /** Keys and pointer go to the machine. */
  get takesInput(): boolean {
    return this.#awake && !this.#viewOnly
  }

  machineChanged(machine: MachineView): void {
    const awake = machine.state === 'running' || machine.state === 'stopping'
    if (awake !== this.#awake) {
      this.#awake = awake
      this.#configure()
      if (awake && this.status.kind === 'live') this.#onTakes()
    }
    this.#session.machineChanged(machine)
  }

  reconnect(): void {
    this.#session.reconnect()
  }

  /** Gives the screen the keys. @returns false where it takes none */
  focus(): boolean {
    const { painter } = this.#session
    if (!painter || !this.takesInput) return false
    painter.focus()
    return true
  }

  /** Gives keyboard and pointer back to the window. */
  release(): void {
    this.#session.painter?.release()
  }

  send(combination: Combination): void {
    sendCombination(this.sendKey, combination)
  }

  sendKey: SendKey = (keysym, code, down) => this.#session.painter?.sendKey(keysym, code, down)

  #configure(view = this.#session?.painter): void {
    if (!view) return
    view.fit = this.#zoom === 'fit'
    view.resizesGuest = this.#resizesGuest
    view.viewOnly = !this.takesInput
  }

  dispose(): void {
    this.#store.dispose()
  }
}
