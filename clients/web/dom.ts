/**
 * Makes and changes elements; the page needs no framework.
 * It has four views and a few lists, all of which change in place. Invariant: text becomes text nodes, never markup,
 * and nothing sets a `style` or `on…` attribute, so that a strict Content-Security-Policy holds.
 */

export type Child = Node | string | undefined | false

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

/** Makes an element; `class` and other attributes by name, `true` for a bare attribute, absent ones left out. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    element.setAttribute(name, value === true ? '' : String(value))
  }
  append(element, children)
  return element
}

export function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) if (child !== undefined && child !== false) parent.append(child)
}

/** Sets text only where it differs, so that screen readers and selections are left alone otherwise. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

export function setAttribute(element: Element, name: string, value: string | undefined): void {
  if (value === undefined) element.removeAttribute(name)
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}

/** Shows or hides; a hidden element is hidden from everybody. */
export function show(element: HTMLElement, isShown: boolean): void {
  if (element.hidden === isShown) element.hidden = !isShown
}

/** A button that is not part of a form's sending. */
export function button(
  label: string,
  press: () => void,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLButtonElement {
  const element = h('button', { type: 'button', class: 'button', ...attributes }, ...children, label)
  element.addEventListener('click', press)
  return element
}

const svgNamespace = 'http://www.w3.org/2000/svg'

/** Drawn with strokes on a 24 × 24 grid. */
const icons = {
  gavel: 'M13.5 3.5l7 7M10.7 6.3l7 7M8.5 8.5l7 7M12 12l-8.5 8.5M12.6 4.4l-5 5M19.6 11.4l-5 5M3 21h9',
  sun: 'M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19',
  moon: 'M20 14.5A8.5 8.5 0 119.5 4a7 7 0 0010.5 10.5z',
  half: 'M12 3a9 9 0 100 18 9 9 0 000-18zM12 3v18M12 7h4.5M12 11h6.5M12 15h6M12 19h3',
  person: 'M12 4a4 4 0 100 8 4 4 0 000-8zM4 21c.8-4 4-6 8-6s7.200 2 8 6',
  back: 'M15 5l-7 7 7 7',
  check: 'M5 12.500l4.500 4.500L19 7.500',
  alert: 'M12 4L2.500 20h19L12 4zM12 10v4.500M12 17.300v.2',
  link: 'M10 14a4 4 0 005.700 0l3.500-3.500a4 4 0 00-5.700-5.700L12.500 6M14 10a4 4 0 00-5.700 0l-3.500 3.500a4 4 0 005.700 5.700L11.500 18',
} as const

export type IconName = keyof typeof icons

/** An icon for the eye alone: the text beside it has the meaning. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(svgNamespace, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS(svgNamespace, 'path')
  path.setAttribute('d', icons[name])
  svg.append(path)
  return svg
}
