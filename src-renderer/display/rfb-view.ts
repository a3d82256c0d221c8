/**
 * The picture of a machine's screen in a page: noVNC, and what it lacks. All that knows noVNC's inside is here; it is a subclass because the
 * library tells neither whether the server resizes nor of encodings that it does not know.
 *
 * Keys: noVNC keeps a key down that goes up somewhere else (the palette took the focus). We remember what went down here, and let go of it for
 * noVNC when the picture loses the focus. Pointer: see pointer-motion.ts; while the guest takes movements, a click captures the pointer
 * (Pointer Lock), and what it does then is sent by us.
 */
import RFB from '@novnc/novnc'
import { Emitter, type Event } from '../../src-shared/base/event.ts'
import { DisposableStore, type Disposable } from '../../src-shared/base/disposable.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { buttonMask, movement, POINTER_MOTION_CHANGE, pointerFilter, wheelMask } from './pointer-motion.ts'
import type { RfbChannel } from './rfb-channel.ts'
import { ReleaseChord } from './release-chord.ts'

/** Pixels each way, and in all: a screen beyond is a mistake or an attack on the page's memory. */
const MAX_SIDE = 16_384
const MAX_PIXELS = 8192 * 8192

export interface ScreenSize {
  /** Guest pixels. */
  width: number
  height: number
}

/** What a view tells whoever shows it. */
export interface ViewState {
  size: ScreenSize | null
  /** The guest takes movements of the pointer, not places. */
  relative: boolean
  /** The server lets the window choose the guest's resolution. */
  resizable: boolean
  /** The guest was told the window's size, and has not taken it. */
  keepsSize: boolean
  /** Keys go to the guest. */
  focused: boolean
  /** The pointer is the guest's alone. */
  captured: boolean
}

export const NO_VIEW: ViewState = { size: null, relative: false, resizable: false, keepsSize: false, focused: false, captured: false }

/** noVNC with its silent facts made audible. */
class LoudRfb extends RFB {
  // Declared, not initialised: the library calls these methods from its constructor.
  declare heard: ((change: Partial<ViewState>) => void) | undefined

  get canvas(): HTMLCanvasElement {
    return this._canvas
  }

  protected override _handleRect(): boolean {
    if (this._FBU.encoding !== POINTER_MOTION_CHANGE) return super._handleRect()
    this.heard?.({ relative: this._FBU.x === 0 })
    return true
  }

  protected override _handleExtendedDesktopSize(): boolean {
    const done = super._handleExtendedDesktopSize()
    // To our own request, anything but "no error" (QEMU: the guest was told) means that the size is as it was.
    const { x: asked, y: status } = this._FBU
    if (done) this.heard?.({ resizable: this._supportsSetDesktopSize, keepsSize: asked === 1 && status !== 0 })
    return done
  }

  protected override _resize(width: number, height: number): void {
    if (width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS) {
      this._fail(`a screen of ${width} by ${height} pixels`)
      return
    }
    super._resize(width, height)
    this.heard?.({ size: { width, height } })
  }
}

export class RfbView implements Disposable {
  readonly #rfb: LoudRfb
  readonly #channel: RfbChannel
  readonly #store = new DisposableStore()
  readonly #onChange = new Emitter<ViewState>()
  readonly #onFault = new Emitter<AppError>()
  readonly #onConnect = new Emitter<void>()
  readonly #chord = new ReleaseChord()
  readonly #keysDown = new Set<string>()
  #state: ViewState = NO_VIEW
  #ended = false

  readonly onChange: Event<ViewState> = this.#onChange.event
  /** The picture is there. */
  readonly onConnect: Event<void> = this.#onConnect.event
  /** noVNC gave up over what it was sent. */
  readonly onFault: Event<AppError> = this.#onFault.event

  /** @param place the element that the picture fills */
  constructor(place: HTMLElement, channel: RfbChannel, label: string) {
    this.#channel = channel
    channel.filter = pointerFilter(() => this.#state.relative)
    this.#rfb = new LoudRfb(place, channel, { shared: true })
    this.#rfb.heard = (change) => this.#change(change)
    // The bytes cross no network: lossless, and little time spent on packing.
    this.#rfb.qualityLevel = 9
    this.#rfb.compressionLevel = 0
    this.#rfb.showDotCursor = true
    this.#rfb.background = 'transparent'
    this.#rfb.addEventListener('connect', () => this.#onConnect.fire())
    this.#rfb.addEventListener('disconnect', ({ detail }) => {
      const gaveUp = !this.#ended && !detail.clean
      this.#ended = true
      if (gaveUp) this.#onFault.fire(new AppError('corrupt', 'The machine’s screen sent something that cannot be shown.'))
    })
    this.#store.defer(() => this.#disconnect())
    this.#listen(place, label)
  }

  get state(): ViewState {
    return this.#state
  }

  set fit(fit: boolean) {
    this.#rfb.scaleViewport = fit
  }

  /** Whether the guest's resolution follows the place it is shown in, where it can. */
  set resizesGuest(yes: boolean) {
    if (this.#rfb.resizeSession !== yes) this.#rfb.resizeSession = yes
  }

  set viewOnly(yes: boolean) {
    if (this.#rfb.viewOnly === yes) return
    if (yes) this.release()
    this.#rfb.viewOnly = yes
  }

  focus(): void {
    this.#rfb.focus({ preventScroll: true })
  }

  /** Gives keyboard and pointer back. */
  release(): void {
    if (document.pointerLockElement === this.#rfb.canvas) document.exitPointerLock()
    this.#rfb.blur()
  }

  sendKey = (keysym: number, code: string, down: boolean): void => this.#rfb.sendKey(keysym, code, down)

  dispose(): void {
    this.release()
    this.#store.dispose()
    this.#onChange.dispose()
    this.#onConnect.dispose()
    this.#onFault.dispose()
  }

  #disconnect(): void {
    if (this.#ended) return
    this.#ended = true
    this.#rfb.disconnect()
  }

  #change(change: Partial<ViewState>): void {
    this.#state = { ...this.#state, ...change }
    if (change.relative === false && document.pointerLockElement === this.#rfb.canvas) document.exitPointerLock()
    this.#onChange.fire(this.#state)
  }

  #listen(place: HTMLElement, label: string): void {
    const { canvas } = this.#rfb
    canvas.tabIndex = 0
    canvas.setAttribute('role', 'application')
    canvas.setAttribute('aria-label', label)
    // The window's single-key shortcuts are characters here.
    canvas.dataset['keys'] = 'guest'
    const on = <K extends keyof HTMLElementEventMap>(
      target: HTMLElement,
      kind: K,
      run: (event: HTMLElementEventMap[K]) => void,
      capture = false,
    ): void => {
      target.addEventListener(kind, run, { capture })
      this.#store.defer(() => target.removeEventListener(kind, run, { capture }))
    }
    on(canvas, 'focus', () => this.#change({ focused: true }))
    on(canvas, 'blur', () => this.#letKeysGo())
    on(place, 'keydown', (event) => this.#onKey(event), true)
    on(place, 'keyup', (event) => this.#onKey(event), true)
    on(place, 'mousedown', (event) => this.#onButton(event), true)
    on(place, 'mouseup', (event) => this.#onButton(event), true)
    on(place, 'mousemove', (event) => this.#onMove(event), true)
    on(place, 'wheel', (event) => this.#onWheel(event), true)
    const onLock = (): void => this.#change({ captured: document.pointerLockElement === canvas })
    document.addEventListener('pointerlockchange', onLock)
    this.#store.defer(() => document.removeEventListener('pointerlockchange', onLock))
  }

  #onKey(event: KeyboardEvent): void {
    if (event.target !== this.#rfb.canvas || !event.isTrusted) return
    if (event.type === 'keydown') this.#keysDown.add(event.code)
    else this.#keysDown.delete(event.code)
    // After noVNC has let go of the key in the guest.
    if (this.#chord.key(event)) setTimeout(() => this.release())
  }

  #letKeysGo(): void {
    const codes = [...this.#keysDown]
    this.#keysDown.clear()
    this.#chord.reset()
    for (const code of codes) this.#rfb.canvas.dispatchEvent(new KeyboardEvent('keyup', { code }))
    // Not at once: the focus is also lost in the middle of the page's own change that takes the picture away.
    queueMicrotask(() => this.#change({ focused: false }))
  }

  /** While the guest takes movements, noVNC, which knows places only, does not hear of the pointer. */
  #takes(event: MouseEvent): boolean {
    if (!this.#state.relative || this.#rfb.viewOnly || event.target !== this.#rfb.canvas) return false
    event.stopPropagation()
    event.preventDefault()
    return true
  }

  #onButton(event: MouseEvent): void {
    if (!this.#takes(event)) return
    if (this.#state.captured) this.#channel.inject(movement(buttonMask(event.buttons), 0, 0))
    else if (event.type === 'mousedown') {
      this.focus()
      this.#capture()
    }
  }

  #capture(): void {
    const { canvas } = this.#rfb
    // Movements as the hand makes them, where the system tells them; else as it moves its pointer. Refused while the last way out is fresh.
    Promise.resolve(canvas.requestPointerLock({ unadjustedMovement: true }))
      .catch(() => canvas.requestPointerLock())
      .catch(() => {})
  }

  #onMove(event: MouseEvent): void {
    if (!this.#takes(event) || !this.#state.captured) return
    const { buttons, movementX, movementY } = event
    if (movementX !== 0 || movementY !== 0) this.#channel.inject(movement(buttonMask(buttons), movementX, movementY))
  }

  #onWheel(event: WheelEvent): void {
    if (!this.#takes(event) || !this.#state.captured) return
    const held = buttonMask(event.buttons)
    for (const mask of [held | wheelMask(event.deltaX, event.deltaY), held]) this.#channel.inject(movement(mask, 0, 0))
  }
}
