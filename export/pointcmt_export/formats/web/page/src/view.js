/** The cloud as it turns: grey points, and on them those that decided. */
import { BufferAttribute, BufferGeometry, Color, PerspectiveCamera, Points, PointsMaterial, Scene, WebGLRenderer } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { turn } from "./orientation.js";

const OTHER = new Color("#8b95a1");
const HOT = [new Color("#f8c45a"), new Color("#de5a26"), new Color("#800036")];
const SECONDS_A_TURN = 24;

export class View {
  /** @param {HTMLElement} place what the picture fills; throws where there is no WebGL. */
  constructor(place) {
    this.place = place;
    this.renderer = new WebGLRenderer({ antialias: true, alpha: true });
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.domElement.setAttribute("aria-hidden", "true");
    place.append(this.renderer.domElement);
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(35, 1, 0.1, 50);
    this.camera.position.set(1.7, 1.0, 2.5);
    this.controls = new OrbitControls(this.camera, this.renderer.domElement);
    this.controls.enablePan = false;
    this.controls.enableZoom = false; // the page scrolls
    this.controls.autoRotateSpeed = 60 / SECONDS_A_TURN;
    this.turning = false;
    this.resize();
    new ResizeObserver(() => this.resize()).observe(place);
    this.renderer.setAnimationLoop(() => {
      this.controls.update();
      this.renderer.render(this.scene, this.camera);
    });
  }

  set turning(on) {
    this.controls.autoRotate = on;
  }

  get turning() {
    return this.controls.autoRotate;
  }

  /** Turn by an angle in radians, as an arrow key asks. */
  turnBy(angle) {
    this.camera.position.applyAxisAngle(this.camera.up, angle);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.place;
    this.renderer.setSize(width, height);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
  }

  /**
   * Show a cloud.
   *
   * @param {Float32Array} cloud (N * 3).
   * @param {string|null} up its vertical axis.
   * @param {Float64Array|null} share of each point in the decision.
   */
  show(cloud, up, share) {
    for (const old of [...this.scene.children]) {
      old.geometry.dispose();
      old.material.dispose();
      this.scene.remove(old);
    }
    const upright = centred(turn(cloud, up ?? "y", "y"));
    const most = share ? Math.max(...share) : 0;
    const places = [...Array(upright.length / 3).keys()];
    this.add(upright, places.filter((i) => !share?.[i]), 0.03, () => OTHER);
    if (share) this.add(upright, places.filter((i) => share[i]), 0.06, (i) => heat(share[i] / most));
  }

  add(cloud, places, size, colorOf) {
    const geometry = new BufferGeometry();
    const at = (values, width) => new BufferAttribute(Float32Array.from(values), width);
    geometry.setAttribute("position", at(places.flatMap((i) => [...cloud.subarray(3 * i, 3 * i + 3)]), 3));
    geometry.setAttribute("color", at(places.flatMap((i) => colorOf(i).toArray()), 3));
    this.scene.add(new Points(geometry, new PointsMaterial({ size, vertexColors: true })));
  }
}

function heat(share) {
  const place = Math.sqrt(share) * (HOT.length - 1);
  const low = Math.min(Math.floor(place), HOT.length - 2);
  return HOT[low].clone().lerp(HOT[low + 1], place - low);
}

function centred(cloud) {
  const half = [0, 1, 2].map((axis) => {
    const values = cloud.filter((_, i) => i % 3 === axis);
    return (Math.min(...values) + Math.max(...values)) / 2;
  });
  return cloud.map((value, i) => value - half[i % 3]);
}
