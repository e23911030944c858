"""Audio2Motion: lip signals from speech, streaming or from a file; no renderer.

In the order of the data:

    whisper                  Whisper's encoder; _files and _weights find its weights
    phones, sound_features   feature rows of sound, a hundred a second
    audio2motion             the network: windows of rows -> lip coefficients
    spoken_clip              a clip as training data: its sound, its tracked lips
    augmentation, fitting    training of the network
    voice, clip_fitting      the trained model of a run: its file, how it is made
    lip_limits, lips         lips of one identity, frame by frame as sound arrives
    cross_fit                lips of clips by models that were not trained on them
"""
