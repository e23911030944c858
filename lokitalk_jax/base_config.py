"""Every field of a run, once; the files of `configs/` change some of them.

    from lokitalk_jax import base_config

    def get_config(preset: str = ""):
        c = base_config.get_config(preset)
        c.train.steps = 5_000
        return c

Lengths are in metres, angles in radians, times in seconds, sizes in pixels, unless a
comment says otherwise. Sizes come in presets, see `presets`; `single_id:full` names
one.
"""

import ml_collections

from lokitalk_jax import presets


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """The base config.

    Args:
      preset: see `presets.resolve`.

    Raises:
      ValueError: there is no such preset.
    """
    name, device = presets.resolve(preset)
    sizes, gpu = presets.PRESETS[name], device == "gpu"
    c = ml_collections.ConfigDict()
    c.preset = name
    c.device = device
    c.seed = 0

    c.task = "train"  # or "adapt", from a prior; or "voice", Audio2Motion alone
    c.prior = ""  # run that is adapted, or "base", the package's; "" is from scratch
    c.start = "encoder"  # residual of a new identity at the start: encoder or mean
    c.shared = "free"  # how fast a prior's shared parameters learn: free, slow, frozen

    # Lip signal in training: tracked; audio, predicted by Audio2Motion; or encoder,
    # predicted by an audio encoder that is trained with the avatars. The latter two are
    # for avatars that speech will drive.
    c.lips = "tracked"

    c.data = data = ml_collections.ConfigDict()
    data.root = ""  # identity folder, or a folder of them; "" makes the demo cast
    data.cache = ""  # folder of resized frames; "" is in each identity folder
    data.size = sizes.size  # longest side of the training images
    data.max_seconds = 0.0  # seconds of each clip to train on; 0 takes all
    data.choose = "first"  # which of its seconds: first, or best, see `data.seconds`
    data.frames_per_step = sizes.frames  # B
    data.rays_per_frame = sizes.rays  # R
    data.landmarks = 96  # M, landmarks for loss.landmarks
    data.references = 2  # K, frames that the encoder sees in a step
    # Shares of the frames that are drawn by the distance of lips or eyes from their
    # median, see `data.frame_sampling`.
    data.unusual = ml_collections.ConfigDict({"lip": 0.4, "eye": 0.25})
    data.threads = 4 if gpu else 1
    data.prefetch = 8
    # Relative density of sampled pixels, summed over the masks that a pixel is in.
    data.importance = ml_collections.ConfigDict(
        {"background": 0.4, "person": 1.0, "lip": 6.0, "eye": 4.0}
    )

    c.scene = scene = ml_collections.ConfigDict()
    # Box of the scene in the head frame: x right, y down, z into the head. Wide enough
    # for the shoulders, deep from in front of the nose to behind the neck.
    scene.low = (-0.36, -0.30, -0.14)
    scene.high = (0.36, 0.42, 0.16)

    c.grid = grid = ml_collections.ConfigDict()
    grid.levels = sizes.levels  # L
    grid.coarsest = 16  # cells along the scene box's longest side
    grid.finest = sizes.finest
    grid.log2_entries = sizes.log2_entries  # T = 2**this

    c.sampling = sampling = ml_collections.ConfigDict()
    sampling.samples = sizes.samples  # S
    sampling.cells = (64, 64, 32)  # X, Y, Z of the density grid
    sampling.uniform = 0.2  # share of the samples that ignores the density grid
    sampling.decay = 0.8  # factor of a cell's running maximum at each visit

    c.model = model = ml_collections.ConfigDict()
    model.lip_dim = 8  # coefficients of the lip signal
    model.code = 16  # length of each identity code
    model.octaves = 5  # of the positional encoding in the deformation fields
    model.deform_width = 64
    model.deform_hidden = 32  # motions that the identity's last layer mixes
    model.offset_scale = 0.2  # units of structs.UNIT
    model.gate_width = 16
    model.gate_octaves = 3
    model.anatomical_gates = True  # gates start from an average face, else at 1/2
    model.fields = "regions"  # or "holistic": one ungated field for everything
    model.face_after_body = True  # the face stage sees points that the body has moved
    # Steps that find a point's place on the canonical face; 1 takes the fields of lips
    # and lids where the point is seen.
    model.face_steps = 2
    model.encoder = False  # an identity encoder; for runs of many identities
    model.reference_size = 64  # E, pixels of the encoder's images
    # Share of the steps that render an identity as the encoder predicts it, without the
    # rest of its residual; they train the encoder.
    model.residual_dropout = 0.0
    model.identity_layers = True  # residuals have last layers (the hypernetwork's)
    model.identity_offset = True  # residuals have a canonical grid
    model.decoder_width = 64
    model.condition_decoder = True  # the density depends on lip and eye signals
    # Type in which hidden layers compute; parameters, points and colours are float32.
    model.compute = "bfloat16" if gpu else "float32"

    c.loss = loss = ml_collections.ConfigDict()
    loss.alpha = 0.1  # opacity against the person mask
    loss.attention = 0.05  # rendered gates against region masks
    loss.entropy = 1e-3  # of opacities
    loss.magnitude = 1e-3  # squared offsets of lip, eye and head, units of UNIT
    loss.smoothness = 1e-4  # squared slope of the same offsets
    # Squared offsets of the head on the skull, units of UNIT (results/real_size.md).
    loss.skull = 10.0
    # Squared distance of a landmark's canonical place from its mean over frames, units
    # of UNIT. Improves motion where it is known exactly; PSNR of real clips is the same
    # with 30 (results/controlled_motion.md).
    loss.landmarks = 0.0
    # Length of lip and eye offsets outside their masks, units of UNIT. Part of the same
    # experiment; held-out PSNR of clips b and c falls by 0.1 dB with 1.
    loss.outside = 0.0
    loss.residual = 1e-4  # mean square of the residual's codes and last layers
    loss.lpips = 0.03  # on patches, in the perceptual stage
    # Spread of the weights along a ray, units of UNIT (results/real_size.md).
    loss.distortion = sizes.distortion

    c.lr = lr = ml_collections.ConfigDict()
    lr.grid = 1e-2
    lr.network = 2e-3
    lr.code = 2e-3
    lr.torso = 2e-2  # pivot and gains; 0 in runs that track the torso of every clip
    lr.warmup = 50  # steps
    lr.final = 0.05  # share of the rates left at the end

    c.train = train = ml_collections.ConfigDict()
    train.steps = sizes.steps  # sets the schedule
    train.max_minutes = 0.0  # saves and stops early, schedule unchanged; 0 is no limit
    # Identities that take their turn in a step, for runs of many; 0 takes all.
    train.identities_per_step = 0
    train.density_every = 8  # steps between visits to the density grid
    train.density_points = 8192 if gpu else 1024  # cells visited for each frame
    # Stages, see `training.stages`: the first steps on small images, the last with
    # LPIPS on patches and with motion fixed.
    train.coarse = sizes.coarse  # share of the steps
    train.coarse_size = sizes.coarse_size  # longest side of the small images
    train.perceptual = sizes.perceptual  # share of the steps
    train.patch = sizes.patch  # side of the patches, pixels
    train.log_every = 100
    train.preview_every = 2_000 if gpu else 500
    train.checkpoint_every = 2_000 if gpu else 500
    train.keep = 2  # checkpoints kept

    c.voice = voice = ml_collections.ConfigDict()
    # Audio2Motion, from speech to lips.
    voice.fit = True  # when training ends; otherwise the package's voice drives the run
    # Features of the sound: whisper (phones where its weights are missing), phones, mel
    # (bands), both (of these two), or those of another program, a .npy file in each
    # identity folder (DeepSpeech, wav2vec, HuBERT, AVE, by shape).
    voice.hears = "whisper"
    voice.corpus = ""  # folder of a speech corpus to fit on as well

    c.mesh = mesh = ml_collections.ConfigDict()
    mesh.identity = 0  # devices along the axis of identities; 0 chooses
    return c
