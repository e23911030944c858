"""Audio2Motion: lip signals from speech, streaming or from a file; no renderer.

In the order of the data:

    phones, sound_features   rows of phones, bands and loudness, a hundred a second
    whisper                  the first layers of Whisper's encoder
    whisper_files, _weights  its weights, found and converted
    whisper_stream           its features from sound as it arrives
    pauses, hearing          inputs of Audio2Motion for each video frame
    audio2motion, ridge      the regression from windows of rows to lips, and its fit
    spoken_clip              a clip as training data: its sound, its tracked lips
    voice, clip_fitting      trained models: their files, how a run's is made
    manner                   a voice for one identity's manner of speaking
    lip_limits, lips         lips of one identity, frame by frame as sound arrives
    cross_fit                lips of clips by models that were not trained on them
"""
